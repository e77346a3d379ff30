"""Sizes of a policy's heads (torch-free)."""

from typing import Annotated, Literal

from pydantic import Field

from metta.base.config import Config


class HeadConfig(Config):
    """A multi-layer perceptron on the memory's output; its last layer gives the logits or the value."""

    hidden: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Widths of the hidden layers, first to last; none: a linear head."""

    activation: Literal["relu", "tanh"] = "relu"
    """What follows each hidden layer."""
