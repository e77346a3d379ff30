"""The learning curve on held-out worlds: evaluations during training, evenly over the run."""

import torch

from metta.agent.policy import Policy
from metta.base.seeding import derive_seed
from metta.rl.config import EvaluationConfig, RunConfig
from metta.rl.evaluate import evaluate_player, held_out
from metta.rl.players import PolicyPlayer
from metta.rl.shards import Shards


def curve_is_due(config: RunConfig, before: int, timesteps: int) -> bool:
    """Whether a point of the curve lies after `before` and not after `timesteps`, both in agent-steps."""
    points, total = config.trainer.curve_points, config.trainer.total_timesteps
    return min(timesteps, total) * points // total > before * points // total


def curve_worlds(config: RunConfig) -> EvaluationConfig:
    """The worlds of the curve: the same for every run with this evaluation seed, and none of the final evaluation's."""
    return EvaluationConfig(
        worlds=config.trainer.curve_worlds, seed=derive_seed(config.evaluation.seed, "learning curve")
    )


def curve_point(config: RunConfig, policy: Policy, device: torch.device, shards: Shards) -> dict[str, float]:
    """Hearts and reward per agent of a policy as it is now, in full episodes of the first evaluation environment."""
    sim = next(iter(config.evaluation_environments.values()))
    result = evaluate_player(PolicyPlayer(policy, sim, device), sim, held_out(curve_worlds(config)), shards)
    return {"held_out/hearts_per_agent": result["hearts_per_agent"], "held_out/reward": result["reward"]}
