"""The memories by name: one small frozen configuration each, which validates its sizes and builds its module.

`config.build(input_width)` draws the initial weights from torch's global generator (seed or fork it outside) and
returns a module with

- `input_width`, `output_width` (numbers per step), `extra_inputs` (further columns that the memory needs after the
  `input_width` columns of the perception; 0 but for `SlidingConfig`, which needs 1: the last action, scaled);
- `initial_state(batch, device=None, dtype=None) -> tuple` of tensors, batch first;
- `forward(x [B, T, input_width + extra_inputs], resets bool [B, T], state) -> (y [B, T, output_width], state)`.

Nothing here imports torch until `build` is called.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from metta.agent.parts import MemoryConfig


class NoMemoryConfig(MemoryConfig):
    """No memory: every step stands alone; the output is the input."""

    kind: Literal["none"] = "none"

    def output_width(self, input_width: int) -> int:
        """Width of the output."""
        return input_width

    def build(self, input_width: int) -> Any:
        """The module for perceptions of `input_width` numbers."""
        from metta.agent.memory.none import NoMemory

        return NoMemory(input_width)


class LSTMConfig(MemoryConfig):
    """Long short-term memory; weights start orthogonal, the forget gate open."""

    kind: Literal["lstm"] = "lstm"
    built_by = "metta.agent.memory.lstm:LSTM"
    width: PositiveInt = 128
    """Hidden and cell state per layer."""
    num_layers: PositiveInt = 1
    """Number of stacked layers."""
    honour_resets: bool = True
    """True: memory starts afresh with every episode. False (plain LSTM): memory runs on across episodes."""
    input_gain: float = Field(default=3.0, gt=0)
    """Gain of the initial matrices between input and gates: 3 suits small perceptions, 1 those of a perceiver, which
    ends in a norm (see `metta.agent.init.initialise_lstm`)."""

    @property
    def carries_over_resets(self) -> bool:
        """True without resets: memory runs on across episodes."""
        return not self.honour_resets

    def output_width(self, input_width: int) -> int:
        """Width of the output."""
        return self.width


class _AttentionConfig(MemoryConfig):
    """What the memories with attention heads share: the rule that heads divide the width."""

    width: PositiveInt
    """Numbers per step in the residual stream and in the output."""
    num_heads: PositiveInt
    """Attention heads; must divide the width."""
    num_layers: PositiveInt
    """Number of stacked layers."""
    feed_forward: PositiveInt
    """Hidden width of each feed-forward sub-layer."""

    def output_width(self, input_width: int) -> int:
        """Width of the output."""
        return self.width

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.num_heads:
            fitting = [heads for heads in range(1, self.width + 1) if self.width % heads == 0]
            raise ValueError(
                f"num_heads={self.num_heads} does not divide width={self.width}; "
                f"choose num_heads from {', '.join(map(str, fitting))} or a width that is a "
                f"multiple of {self.num_heads}"
            )
        return self


class _SinusoidConfig(_AttentionConfig):
    """Attention memories with sinusoidal positions, whose sines and cosines come in pairs."""

    @model_validator(mode="after")
    def _width_is_even(self) -> Self:
        if self.width % 2:
            raise ValueError(
                f"width={self.width} is odd, but positions are pairs of a sine and a cosine; "
                f"choose {self.width - 1 or 2} or {self.width + 1}"
            )
        return self


class SlidingConfig(_SinusoidConfig):
    """Sliding-window transformer over four tokens per step: class token, observation, reward and reset, last action."""

    kind: Literal["sliding"] = "sliding"
    built_by = "metta.agent.memory.sliding:SlidingTransformer"
    width: PositiveInt = 32
    """Numbers per token and in the output (the mean of a step's four tokens)."""
    num_heads: PositiveInt = 2
    """Attention heads; must divide the width."""
    num_layers: PositiveInt = 2
    """Number of stacked layers."""
    feed_forward: PositiveInt = 128
    """Hidden width of each feed-forward sub-layer."""
    window: PositiveInt = 20
    """Previous steps of the same episode that a step attends to."""
    position_scale: float = Field(default=0.1, ge=0)
    """What sines and cosines of positions are multiplied with; alone they vary more than perceptions do."""

    @property
    def reads_resets(self) -> bool:
        return True


class TransformerConfig(_SinusoidConfig):
    """Standard pre-norm transformer decoder with the sinusoidal position of the step in its episode."""

    kind: Literal["transformer"] = "transformer"
    built_by = "metta.agent.memory.transformer:Transformer"
    width: PositiveInt = 64
    """Numbers per step in the residual stream and in the output."""
    num_heads: PositiveInt = 4
    """Attention heads; must divide the width."""
    num_layers: PositiveInt = 2
    """Number of stacked layers."""
    feed_forward: PositiveInt = 256
    """Hidden width of each feed-forward sub-layer."""
    window: PositiveInt = 64
    """Previous steps of the same episode that a step attends to."""
    position_scale: float = Field(default=0.1, ge=0)
    """What sines and cosines of positions are multiplied with; alone they vary more than perceptions do."""


class TransformerXLConfig(_SinusoidConfig):
    """Transformer-XL (Dai et al. 2019) with pre-norm: relative positions, the raw inputs of each layer as memory."""

    kind: Literal["transformer_xl"] = "transformer_xl"
    built_by = "metta.agent.memory.transformer_xl:TransformerXL"
    width: PositiveInt = 32
    """Numbers per step in the residual stream and in the output."""
    num_heads: PositiveInt = 2
    """Attention heads; must divide the width."""
    num_layers: PositiveInt = 1
    """Number of stacked layers."""
    feed_forward: PositiveInt = 128
    """Hidden width of each feed-forward sub-layer."""
    memory: PositiveInt = 32
    """Previous steps of the same episode that a step attends to."""


class FusedTransformerXLConfig(TransformerXLConfig):
    """Transformer-XL, the same function and parameters, computed with fused attention."""

    kind: Literal["transformer_xl_fused"] = "transformer_xl_fused"  # type: ignore[assignment]
    built_by = "metta.agent.memory.transformer_xl_fused:FusedTransformerXL"
    precision: Literal["bfloat16", "full"] = "bfloat16"
    """`bfloat16`: attention and feed-forward in bfloat16 where a GPU supports it (never on a CPU); `full`: never."""


class GTrXLConfig(_SinusoidConfig):
    """Gated Transformer-XL (Parisotto et al. 2019): GRU gates in place of the residual sums."""

    kind: Literal["gtrxl"] = "gtrxl"
    built_by = "metta.agent.memory.gtrxl:GTrXL"
    width: PositiveInt = 32
    """Numbers per step in the gated stream and in the output."""
    num_heads: PositiveInt = 2
    """Attention heads; must divide the width."""
    num_layers: PositiveInt = 1
    """Number of stacked layers."""
    feed_forward: PositiveInt = 128
    """Hidden width of each feed-forward sub-layer."""
    memory: PositiveInt = 32
    """Previous steps of the same episode that a step attends to."""
    gate_bias: float = 2.0
    """What the gates' learned bias starts from; large values start near the identity."""
    normalize_query: bool = True
    """True: queries from the normalised input, as in the paper. False: from the raw input, as in the AGaLiTe
    authors' code."""


class AGaLiTeConfig(MemoryConfig):
    """Approximate gated linear transformer (Pramanik et al. 2024): a linear recurrence of constant size."""

    kind: Literal["agalite"] = "agalite"
    built_by = "metta.agent.memory.agalite:AGaLiTe"
    width: PositiveInt = 64
    """Numbers per step in the gated stream and in the output."""
    num_heads: PositiveInt = 4
    """Attention heads."""
    head_width: PositiveInt = 16
    """Width of keys, queries, values and gates of one head."""
    num_layers: PositiveInt = 3
    """Number of stacked layers."""
    feed_forward: PositiveInt = 256
    """Hidden width of each feed-forward sub-layer."""
    eta: PositiveInt = 4
    """Width of the second factor of the outer products that expand keys, queries and gates."""
    oscillations: Annotated[int, Field(ge=2)] = 2
    """Number r of frequencies from -pi to pi that approximate the outer product of keys and values; at least 2."""
    gate_bias: float = 2.0
    """What the gates' learned bias starts from; large values start near the identity."""

    def output_width(self, input_width: int) -> int:
        """Width of the output."""
        return self.width
