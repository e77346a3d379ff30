"""The network of `fast` trained by a plain eager PPO loop in the style of CleanRL's ppo_atari_lstm: the speed to beat.

It has the same layers and sizes, dense convolution, `nn.LSTM` stepped in a Python loop with the state masked at episode
starts, and torch's own threads. Source of the style: Huang et al. 2022, CleanRL, JMLR 23(274),
https://github.com/vwxyzjn/cleanrl; differs in: observations are tokens, scattered into a box here, seen
in the views that the trainer chose.
"""

import time

import numpy as np
import torch
from torch import Tensor, nn

from metta.agent import egocentric, front
from metta.agent.spec import EnvironmentSpec
from metta.base.seeding import derive_seed
from metta.rl.config import TrainerConfig
from metta.rl.specs import spec_of
from metta.sim.config import SimConfig
from metta.sim.constants import NUM_ACTIONS
from metta.sim.vector_env import VectorEnv


class PlainFast(nn.Module):
    """CNN 128, LSTM 128 with 2 layers, actor 512, critic 1024."""

    scales: Tensor

    def __init__(self, spec: EnvironmentSpec) -> None:
        super().__init__()
        self.spec, scales = spec, spec.perceived().feature_scales
        self.height, self.width, features = spec.obs_height, spec.obs_width, len(scales)
        self.register_buffer("scales", torch.tensor(scales))
        self.network = nn.Sequential(
            nn.Conv2d(features, 64, 5, stride=3),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64, 128),
            nn.ReLU(),
            nn.Linear(128, 128),
            nn.ReLU(),
        )
        self.lstm = nn.LSTM(128, 128, num_layers=2)
        self.actor = nn.Sequential(nn.Linear(128, 512), nn.ReLU(), nn.Linear(512, NUM_ACTIONS))
        self.critic = nn.Sequential(nn.Linear(128, 1024), nn.Tanh(), nn.Linear(1024, 1))

    def box(self, tokens: Tensor) -> Tensor:
        """Tokens uint8 [B, M, 3] as a box [B, features, height, width]."""
        location, feature, value = tokens.long().unbind(-1)
        valid = location != 255
        row, column = location >> 4, location & 15
        batch = torch.arange(tokens.shape[0]).unsqueeze(1).expand_as(row)
        box = torch.zeros(tokens.shape[0], len(self.scales), self.height, self.width)
        feature = feature.clamp(max=len(self.scales) - 1)
        box[batch[valid], feature[valid], row[valid], column[valid]] = (value / self.scales[feature])[valid]
        return box

    def forward(self, tokens: Tensor, dones: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, tuple]:
        """tokens uint8 [T, B, M, 3], dones float [T, B], state of the LSTM -> logits, values, state."""
        steps, batch = dones.shape
        flat = tokens.flatten(0, 1)
        seen = front.with_tensor_operations(flat, self.spec) if self.spec.front_view else flat
        seen = egocentric.with_tensor_operations(seen, self.spec) if self.spec.egocentric_view else seen
        hidden = self.network(self.box(seen)).view(steps, batch, -1)
        outputs = []
        for t in range(steps):
            keep = (1 - dones[t]).view(1, -1, 1)
            output, state = self.lstm(hidden[t : t + 1], (keep * state[0], keep * state[1]))
            outputs.append(output)
        memory = torch.cat(outputs)
        logits = self.actor(memory)
        if self.spec.egocentric_view:
            logits = egocentric.turn_back(logits, tokens, self.spec)
        return logits, self.critic(memory).squeeze(-1), state


class PlainLoop:
    """Rollouts and updates of `PlainFast` with the sizes of a trainer configuration; one pass over each rollout."""

    def __init__(self, sim: SimConfig, threads: int, config: TrainerConfig) -> None:
        torch.set_num_threads(threads)
        self.config = config
        worlds = max(1, round(self.config.num_streams / sim.num_agents))
        self.env = VectorEnv(sim, num_worlds=worlds, seed=derive_seed(0, "worlds"), threads=threads)
        self.env.reset()
        self.policy = PlainFast(spec_of(sim, config))
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=self.config.learning_rate)
        streams = self.env.num_streams
        self.steps_per_update = streams * self.config.rollout_steps
        self.state = (torch.zeros(2, streams, 128), torch.zeros(2, streams, 128))

    def one_update(self) -> tuple[float, float]:
        """One rollout and one update; seconds of each."""
        config, env, steps = self.config, self.env, self.config.rollout_steps
        started = time.perf_counter()
        tokens, dones, actions, log_probs, values, rewards = [], [], [], [], [], []
        state_before = self.state
        with torch.no_grad():
            for _ in range(steps):
                tokens.append(torch.from_numpy(env.buffers.observations.copy()))
                dones.append(torch.from_numpy(env.buffers.resets).float())
                logits, value, self.state = self.policy(tokens[-1][None], dones[-1][None], self.state)
                distribution = torch.distributions.Categorical(logits=logits[0])
                action = distribution.sample()
                actions.append(action)
                log_probs.append(distribution.log_prob(action))
                values.append(value[0])
                env.step(action.numpy().astype(np.int32))
                rewards.append(torch.from_numpy(env.buffers.rewards.copy()))
        collected = time.perf_counter()
        tokens_TB, dones_TB, actions_TB = torch.stack(tokens), torch.stack(dones), torch.stack(actions)
        old_TB, values_TB = torch.stack(log_probs), torch.stack(values)
        advantages_TB = torch.zeros_like(values_TB)
        running = torch.zeros(env.num_streams)
        for t in reversed(range(steps - 1)):
            keep = 1 - dones_TB[t + 1]
            delta = rewards[t] + config.gamma * values_TB[t + 1] * keep - values_TB[t]
            running = delta + config.gamma * config.gae_lambda * keep * running
            advantages_TB[t] = running
        returns_TB = advantages_TB + values_TB
        for chosen in torch.randperm(env.num_streams).chunk(config.minibatches):
            state = (state_before[0][:, chosen], state_before[1][:, chosen])
            logits, new_values, _ = self.policy(tokens_TB[:, chosen], dones_TB[:, chosen], state)
            distribution = torch.distributions.Categorical(logits=logits)
            ratio = (distribution.log_prob(actions_TB[:, chosen]) - old_TB[:, chosen]).exp()
            advantages = advantages_TB[:, chosen]
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
            clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
            policy_loss = -torch.minimum(ratio * advantages, clipped * advantages).mean()
            value_loss = 0.5 * (new_values - returns_TB[:, chosen]).square().mean()
            loss = policy_loss + config.value_weight * value_loss
            loss = loss - config.entropy_weight * distribution.entropy().mean()
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.policy.parameters(), config.max_gradient_norm)
            self.optimizer.step()
        return collected - started, time.perf_counter() - collected
