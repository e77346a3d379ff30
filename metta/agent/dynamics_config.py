"""Sizes and weights of the auxiliary dynamics predictions (torch-free)."""

from typing import Literal

from pydantic import Field

from metta.agent.parts import AuxiliaryConfig


class DynamicsConfig(AuxiliaryConfig):
    """Predictions of the next reward, the discounted return and the next perception (metta/agent/dynamics.py)."""

    kind: Literal["dynamics"] = "dynamics"
    built_by = "metta.agent.dynamics:Dynamics"

    reward_weight: float = Field(default=1.0, ge=0.0)
    """Weight of the reward prediction's loss."""

    return_weight: float = Field(default=1.0, ge=0.0)
    """Weight of the return prediction's loss."""

    perception_weight: float = Field(default=1.0, ge=0.0)
    """Weight of the perception prediction's loss."""
