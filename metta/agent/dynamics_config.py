"""Sizes and weights of the auxiliary dynamics predictions (torch-free)."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from metta.agent.parts import AuxiliaryConfig

if TYPE_CHECKING:
    from metta.agent.dynamics import Dynamics


class DynamicsConfig(AuxiliaryConfig):
    """Predictions of the next reward, the discounted return and the next perception (metta/agent/dynamics.py)."""

    kind: Literal["dynamics"] = "dynamics"

    reward_weight: float = Field(default=1.0, ge=0.0)
    """Weight of the reward prediction's loss."""

    return_weight: float = Field(default=1.0, ge=0.0)
    """Weight of the return prediction's loss."""

    perception_weight: float = Field(default=1.0, ge=0.0)
    """Weight of the perception prediction's loss."""

    def build(self, perception_width: int, memory_width: int) -> "Dynamics":
        """The predictions' heads."""
        from metta.agent.dynamics import Dynamics

        return Dynamics(self, perception_width, memory_width)
