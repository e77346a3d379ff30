"""Standard transformer memory: a pre-norm decoder over the last steps of the episode.

Axes: B batch, T time, M memory steps, D width, L layers.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from metta.agent.init import initialise
from metta.agent.memory.sinusoid import sinusoid
from metta.agent.memory.window import context_of, steps_in_episode
from metta.agent.memory.window_attention import WindowLayer, masks_of

if TYPE_CHECKING:
    from metta.agent.memory.config import TransformerConfig

CacheState = tuple[tuple[Tensor, ...], Tensor, Tensor]


class Transformer(nn.Module):
    """Pre-norm decoder with the sinusoidal position of the step in its episode.

    State: (keys and values of each layer at the last M steps, L tensors [B, M, 2D], oldest first; valid bool [B, M];
    position in its episode of the next step, int64 [B]).

    Parameters: `layers.i` (see `WindowLayer`); `input_projection.weight` [D, input width], `.bias` only when the input
    is not D wide.

    The layers start with small weights and no norm follows the last one, so that a new policy's output is what it
    perceives now. With branches of order one, a final norm and positions as large as perceptions, noisy gradients made
    the constant parts of the stream grow until the norm had divided the perception away (docs/diary.md).

    Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, pre-norm; weights start as in GPT-2 (Radford et al.
    2019). Differs in: the window of M steps of one episode; no norm after the last layer; positions are scaled by
    `position_scale`, as in the transformer of https://github.com/Metta-AI/metta; the position's sines come before its
    cosines; no dropout.
    """

    extra_inputs = 0

    def __init__(self, config: "TransformerConfig", input_width: int) -> None:
        super().__init__()
        self.input_width, self.output_width = input_width, config.width
        self.memory = config.window
        self.input_projection = nn.Identity() if input_width == config.width else nn.Linear(input_width, config.width)
        self.layers = nn.ModuleList(
            WindowLayer(config.width, config.num_heads, config.feed_forward, config.window, tokens=1)
            for _ in range(config.num_layers)
        )
        self.position_scale = config.position_scale
        if input_width != config.width:
            initialise(self.input_projection, "attention")
        for module in self.layers.modules():
            if isinstance(module, nn.Linear):
                initialise(module, "normal_0.02")

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> CacheState:
        """Empty caches: zeros, none valid, position 0; device and dtype default to the parameters'."""
        like = next(self.layers.parameters())
        shape = (batch, self.memory, 2 * self.output_width)
        caches = tuple(like.new_zeros(shape, device=device, dtype=dtype) for _ in self.layers)
        device = caches[0].device
        valid = torch.zeros(batch, self.memory, dtype=torch.bool, device=device)
        return caches, valid, torch.zeros(batch, dtype=torch.int64, device=device)

    def forward(self, x: Tensor, resets: Tensor, state: CacheState) -> tuple[Tensor, CacheState]:
        """x [B, T, input_width], resets bool [B, T], state -> [B, T, D], new state."""
        caches, valid, position = state
        context = context_of(valid, resets)
        positions = steps_in_episode(position, resets)
        stream = self.input_projection(x)
        stream = stream + self.position_scale * sinusoid(positions, self.output_width, stream.dtype)
        masks = masks_of(context, self.memory, 1, stream)
        new_caches = []
        for layer, cache in zip(self.layers, caches, strict=True):
            stream, new_cache = layer(stream, cache, context, masks)
            new_caches.append(new_cache)
        return stream, (tuple(new_caches), context.valid, positions[:, -1] + 1)
