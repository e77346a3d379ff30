"""Transformer-XL memory: attention over the last steps of the episode by relative position.

Axes: B batch, T time, M memory slots, D width, H heads, d = D / H, L layers.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from metta.agent.init import initialise
from metta.agent.memory.relative_attention import RelativeAttention
from metta.agent.memory.window import Context, context_of, next_memory

if TYPE_CHECKING:
    from metta.agent.memory.config import TransformerXLConfig

SlotState = tuple[tuple[Tensor, ...], Tensor]


class TransformerXL(nn.Module):
    """Pre-norm Transformer-XL whose memory is each layer's raw input at the last M steps.

    State: (memory of each layer, a tuple of L tensors [B, M, D], oldest first; valid bool [B, M]).

    Parameters and their names in kimiyoung/transformer-xl (pytorch, `pre_lnorm=True`, layer i):
    `u`, `w` [H, d]: `r_w_bias`, `r_r_bias`;
    `layers.i.attention.query.weight` [D, D]: the first D rows of `layers.i.dec_attn.qkv_net.weight`;
    `layers.i.attention.key_value.weight` [2D, D]: its other 2D rows;
    `layers.i.attention.position.weight`, `.output.weight` [D, D]: `dec_attn.r_net.weight`, `dec_attn.o_net.weight`;
    `layers.i.attention_norm.weight`, `.bias` [D]: `dec_attn.layer_norm`;
    `layers.i.feed_forward_norm.weight`, `.bias` [D]: `pos_ff.layer_norm`;
    `layers.i.expand.weight` [F, D], `.bias`: `pos_ff.CoreNet.0`; `layers.i.contract.weight` [D, F], `.bias`:
    `pos_ff.CoreNet.3`. No transposes. `input_projection.weight` [D, input width], `.bias` exist only when the input
    is not D wide.

    Source: Dai et al. 2019, https://arxiv.org/abs/1901.02860; https://github.com/kimiyoung/transformer-xl,
    pytorch/mem_transformer.py. Differs in: a query sees exactly itself and M previous steps of its own episode (the
    published code masks only the future inside a segment, and knows no episodes); no dropout; no embedding or softmax.
    """

    extra_inputs = 0

    def __init__(self, config: "TransformerXLConfig", input_width: int) -> None:
        super().__init__()
        self.input_width, self.output_width = input_width, config.width
        self.memory = config.memory
        self.input_projection = nn.Identity() if input_width == config.width else nn.Linear(input_width, config.width)
        self.layers = nn.ModuleList(self.make_layer(config) for _ in range(config.num_layers))
        self.u = nn.Parameter(torch.empty(config.num_heads, config.width // config.num_heads))
        self.w = nn.Parameter(torch.empty_like(self.u))
        for module in self.modules():
            if not isinstance(module, nn.LayerNorm):
                initialise(module, "normal_0.02")

    @staticmethod
    def make_layer(config: "TransformerXLConfig") -> "TransformerXLLayer":
        """One layer; the fused variant makes its own kind of the same parameters."""
        return TransformerXLLayer(config)

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> SlotState:
        """Empty memories: zeros, none valid; device and dtype default to the parameters'."""
        shape = (batch, self.memory, self.output_width)
        memories = tuple(self.u.new_zeros(shape, device=device, dtype=dtype) for _ in self.layers)
        return memories, torch.zeros(batch, self.memory, dtype=torch.bool, device=memories[0].device)

    def forward(self, x: Tensor, resets: Tensor, state: SlotState) -> tuple[Tensor, SlotState]:
        """x [B, T, input_width], resets bool [B, T], state -> [B, T, D], new state."""
        memories, valid = state
        context = context_of(valid, resets)
        stream = self.input_projection(x)
        new_memories = []
        for layer, memory in zip(self.layers, memories, strict=True):
            slots = torch.cat([memory.detach().to(stream.dtype), stream], 1)
            new_memories.append(next_memory(slots, self.memory))
            stream = layer(stream, slots, context, self.u, self.w)
        return stream, (tuple(new_memories), context.valid)


class TransformerXLLayer(nn.Module):
    """x + attention(norm([memory; x])), then + W2 relu(W1 norm(.))."""

    def __init__(self, config: "TransformerXLConfig") -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width, eps=1e-5)
        self.attention = self.make_attention(config)
        self.feed_forward_norm = nn.LayerNorm(config.width, eps=1e-5)
        self.expand = nn.Linear(config.width, config.feed_forward)
        self.contract = nn.Linear(config.feed_forward, config.width)

    @staticmethod
    def make_attention(config: "TransformerXLConfig") -> RelativeAttention:
        """The attention of one layer, without biases."""
        return RelativeAttention(config.width, config.num_heads, config.memory, bias=False)

    def forward(self, x_BTD: Tensor, slots_BSD: Tensor, context: Context, u: Tensor, w: Tensor) -> Tensor:
        """Stream [B, T, D] and context [B, M + T, D] (its last T slots are the stream) -> stream."""
        normal = self.attention_norm(slots_BSD)
        x_BTD = x_BTD + self.attention(normal[:, -x_BTD.shape[1] :], normal, context, u, w)
        return x_BTD + self.contract(functional.relu(self.expand(self.feed_forward_norm(x_BTD))))
