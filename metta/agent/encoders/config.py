"""Sizes of the perceptions (torch-free)."""

from typing import Literal, Self

from pydantic import Field, model_validator

from metta.agent.parts import EncoderConfig


class PerceiverConfig(EncoderConfig):
    """Learned latents that attend to the observation's tokens (metta/agent/encoders/perceiver.py)."""

    kind: Literal["perceiver"] = "perceiver"
    built_by = "metta.agent.encoders.perceiver:Perceiver"

    max_tokens: int = Field(default=128, ge=1)
    """Rows of the observation that are looked at; they come nearest first and 128 covers nearly every observation."""

    feature_width: int = Field(default=8, ge=1)
    """Width of the learned embedding of a token's feature id."""

    num_frequencies: int = Field(default=3, ge=1)
    """Sine and cosine pairs per coordinate of a token's place."""

    num_latents: int = Field(default=12, ge=1)
    """Number of learned latents."""

    width: int = Field(default=64, ge=1)
    """Width of the latents and of the perception vector."""

    num_layers: int = Field(default=2, ge=1)
    """Cross-attention blocks."""

    num_heads: int = Field(default=4, ge=1)
    """Attention heads; they divide the width."""

    feed_forward_factor: int = Field(default=4, ge=1)
    """Width of the feed-forward's hidden layer, as a multiple of the width."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.num_heads:
            raise ValueError(
                f"num_heads {self.num_heads} does not divide width {self.width}; "
                f"choose a width that is a multiple of {self.num_heads}, or other num_heads"
            )
        return self

    @property
    def output_width(self) -> int:
        """Width of the perception vector."""
        return self.width


class CNNConfig(EncoderConfig):
    """Convolutions over the window as a box of features (metta/agent/encoders/cnn.py)."""

    kind: Literal["cnn"] = "cnn"
    built_by = "metta.agent.encoders.cnn:CNN"

    first_channels: int = Field(default=64, ge=1)
    """Channels of the first convolution (kernel 5, stride 3)."""

    second_channels: int = Field(default=64, ge=1)
    """Channels of the second convolution (kernel 3)."""

    hidden: int = Field(default=128, ge=1)
    """Width of the linear layer after the convolutions."""

    width: int = Field(default=128, ge=1)
    """Width of the last linear layer: the perception vector."""

    @property
    def output_width(self) -> int:
        """Width of the perception vector."""
        return self.width


class PufferBoxConfig(EncoderConfig):
    """PufferLib's convolutions beside its view of the centre cell (metta/agent/encoders/puffer_box.py)."""

    kind: Literal["puffer_box"] = "puffer_box"
    built_by = "metta.agent.encoders.puffer_box:PufferBox"

    channels: int = Field(default=128, ge=1)
    """Channels of both convolutions."""

    cnn_width: int = Field(default=256, ge=1)
    """Width of the linear layer after the convolutions."""

    centre_width: int = Field(default=256, ge=1)
    """Width of the linear layer on the centre cell's features."""

    @property
    def output_width(self) -> int:
        """Width of the perception vector: [centre, CNN]."""
        return self.centre_width + self.cnn_width
