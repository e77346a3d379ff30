"""Recurrent PPO: rollout, advantages, losses, update, checkpoints, evaluation."""
