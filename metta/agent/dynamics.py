"""Auxiliary dynamics predictions: from the memory at t, what comes next; losses that shape perception and memory.

Predictions in `PolicyOutput.auxiliary`, each linear in the memory's output at t, and the target of each:

| name              | shape     | target (no gradient into any target)                           | loss       |
| ----------------- | --------- | -------------------------------------------------------------- | ---------- |
| `reward`          | [B, T]    | reward of the action taken at t                                | mean       |
| `return`          | [B, T]    | discounted return from t on (the critic's target)              | squared    |
| `next_perception` | [B, T, D] | `perception` at t + 1, if in this segment and the same episode | error each |
| `perception`      | [B, T, D] | (the perception at t, detached: the target of the step before) | none       |

Axes: B batch, T time, D perception width.

Source: the arena family's published "fast dynamics" policy (https://github.com/Metta-AI/metta), which predicts reward
and return. differs in: the next perception is predicted too; steps at an episode's or segment's end are left out.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from metta.agent.dynamics_config import DynamicsConfig
from metta.agent.init import initialise
from metta.agent.policy import Auxiliary, AuxiliaryTargets


class Dynamics(Auxiliary):
    """Three linear heads on the memory's output."""

    def __init__(self, config: DynamicsConfig, perception_width: int, memory_width: int) -> None:
        super().__init__()
        self.config = config
        self.reward = nn.Linear(memory_width, 1)
        self.discounted_return = nn.Linear(memory_width, 1)
        self.next_perception = nn.Linear(memory_width, perception_width)
        for linear in (self.reward, self.discounted_return, self.next_perception):
            initialise(linear, "critic")

    def forward(self, perception: Tensor, memory: Tensor) -> dict[str, Tensor]:
        """perception [B, T, D], memory output [B, T, D_out] -> the table above."""
        return {
            "reward": self.reward(memory).squeeze(-1),
            "return": self.discounted_return(memory).squeeze(-1),
            "next_perception": self.next_perception(memory),
            "perception": perception.detach(),
        }

    def losses(self, predictions: Mapping[str, Tensor], targets: AuxiliaryTargets) -> dict[str, Tensor]:
        """Scalar losses "reward", "return" and "next_perception", weighted. Pure."""
        config = self.config
        reward = (predictions["reward"] - targets.rewards).square().mean()
        discounted_return = (predictions["return"] - targets.returns).square().mean()
        continues_BT = (~targets.resets[:, 1:]).to(reward.dtype)
        error_BT = (predictions["next_perception"][:, :-1] - predictions["perception"][:, 1:]).square().mean(-1)
        next_perception = (error_BT * continues_BT).sum() / continues_BT.sum().clamp(min=1.0)
        return {
            "reward": config.reward_weight * reward,
            "return": config.return_weight * discounted_return,
            "next_perception": config.perception_weight * next_perception,
        }
