"""Sliding-window transformer memory over four tokens per step: class token, observation, reset, last action.

Axes: B batch, T time, M memory steps, K = 4 tokens per step, D width, L layers.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from metta.agent.init import initialise
from metta.agent.memory.sinusoid import sinusoid
from metta.agent.memory.transformer import CacheState
from metta.agent.memory.window import context_of, steps_in_episode
from metta.agent.memory.window_attention import WindowLayer, masks_of

if TYPE_CHECKING:
    from metta.agent.memory.config import SlidingConfig

TOKENS = 4
"""Tokens per step."""

BLOCK = 16
"""Steps worked on at once: 64 queries, which see 16 + M steps."""


class SlidingTransformer(nn.Module):
    """Each token of a step attends to all tokens of that step and of the M steps before it in the episode.

    The input's last column is the last action, scaled. Output: mean of the step's four tokens after the last layer.

    State: (keys and values of each layer at the last M steps, L tensors [B, M, 4 * 2D]: per token keys, then values;
    valid bool [B, M]; position in its episode of the next step, int64 [B]).

    Parameters: `class_token` [1, D]; `observation.weight` [D, input width], `reset.weight` and
    `action.weight` [D, 1], each with `bias`; `layers.i` (see `WindowLayer`).

    Source: https://github.com/Metta-AI/metta, agent/src/metta/agent/components/sliding_transformer.py. Differs in:
    empty slots and those of earlier episodes are masked in acting and in training alike (there: attended as zeros);
    the window is the same in both (there, a training segment sees its whole past); the last action is one number, its
    index; there is no last reward, because the observation's token holds penalties only, which no level has; the
    projection of the observation is kept when its width is D; no norm after the last layer, positions scaled by
    `position_scale` and small weights at the start, for the reasons given in `transformer.py`.
    """

    extra_inputs = 1

    def __init__(self, config: "SlidingConfig", input_width: int) -> None:
        super().__init__()
        self.input_width, self.output_width = input_width, config.width
        self.memory = config.window
        self.class_token = nn.Parameter(torch.empty(1, config.width))
        initialise(self, "normal_0.02")
        self.observation = nn.Linear(input_width, config.width)
        self.reset = nn.Linear(1, config.width)
        self.action = nn.Linear(1, config.width)
        self.layers = nn.ModuleList(
            WindowLayer(config.width, config.num_heads, config.feed_forward, config.window, TOKENS)
            for _ in range(config.num_layers)
        )
        self.position_scale = config.position_scale
        for part in (self.observation, self.reset, self.action):
            initialise(part, "attention")
        for module in self.layers.modules():
            if isinstance(module, nn.Linear):
                initialise(module, "normal_0.02")

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> CacheState:
        """Empty caches: zeros, none valid, position 0; device and dtype default to the parameters'."""
        shape = (batch, self.memory, TOKENS * 2 * self.output_width)
        caches = tuple(self.class_token.new_zeros(shape, device=device, dtype=dtype) for _ in self.layers)
        device = caches[0].device
        valid = torch.zeros(batch, self.memory, dtype=torch.bool, device=device)
        return caches, valid, torch.zeros(batch, dtype=torch.int64, device=device)

    def forward(self, x: Tensor, resets: Tensor, state: CacheState) -> tuple[Tensor, CacheState]:
        """x [B, T, input_width + 1], resets bool [B, T], state -> [B, T, D], new state."""
        caches, valid, position = state
        context = context_of(valid, resets, BLOCK)
        positions = steps_in_episode(position, resets)
        places = self.position_scale * sinusoid(positions, self.output_width, x.dtype)
        stream = (self.tokens(x, resets) + places.unsqueeze(2)).flatten(1, 2)
        masks = masks_of(context, self.memory, TOKENS, stream)
        new_caches = []
        for layer, cache in zip(self.layers, caches, strict=True):
            stream, new_cache = layer(stream, cache, context, masks)
            new_caches.append(new_cache)
        output = stream.unflatten(1, (-1, TOKENS)).mean(2)
        return output, (tuple(new_caches), context.valid, positions[:, -1] + 1)

    def tokens(self, x: Tensor, resets: Tensor) -> Tensor:
        """The four tokens of each step, without positions, [B, T, 4, D]."""
        perception, action = x.split([self.input_width, 1], 2)
        reset = self.reset(resets.unsqueeze(2).to(x.dtype))
        observation = self.observation(perception)
        class_token = self.class_token.expand_as(observation)
        return torch.stack([class_token, observation, reset, self.action(action)], 2)
