"""What a policy needs to know about its environment (torch-free)."""

from typing import Self

from pydantic import Field, model_validator

from metta.base.config import Config

FRONT_GAIN = 4.0
"""Values and feature embeddings of the front view start so much larger than the same elsewhere: what decides most is
then learned first (docs/log.md)."""


class EnvironmentSpec(Config):
    """Action count and the shape and scale of observations; saved with every checkpoint.

    An observation is uint8 [num_observation_tokens, 3]: rows of (location, feature id, value), location =
    (row << 4) | column inside the window; unused rows are 255 255 255. A feature occurs once per cell. Rows come
    nearest first: those of the window's centre, where the agent stands, begin the observation, with the global tokens
    before all others. Perceptions rely on it where they look at the first rows only (`max_tokens`, the centre cell).
    """

    feature_scales: tuple[float, ...] = Field(min_length=1, max_length=255)
    """Divisor of a token's value, by feature id (1.0 for unused ids)."""

    num_actions: int = Field(default=16, ge=1)
    """Size of the flat action set: the policy gives this many logits."""

    obs_width: int = Field(default=11, ge=1, le=16)
    """Columns of the agent's window."""

    obs_height: int = Field(default=11, ge=1, le=16)
    """Rows of the agent's window."""

    num_observation_tokens: int = Field(default=200, ge=1)
    """Rows of an observation."""

    front_view: bool = False
    """Whether a policy looks at the cell in front a second time, with feature ids of its own (metta/agent/front.py).
    A choice of the trainer, not of the environment: observations are the same."""

    num_front_features: int = Field(default=0, ge=0)
    """How many of the last feature ids are the front view's, in what `perceived` gives to perceptions."""

    @model_validator(mode="after")
    def _ids_are_bytes(self) -> Self:
        if self.front_view and 2 * self.num_features > 255:
            raise ValueError(f"front_view allows at most 127 features; feature_scales has {self.num_features}")
        return self

    @property
    def num_features(self) -> int:
        """Number of feature ids; a token with a higher id is ignored (255 marks an unused row)."""
        return len(self.feature_scales)

    def perceived(self) -> "EnvironmentSpec":
        """What perceptions are built for: with the front view every feature a second time, louder; else this spec."""
        if not self.front_view:
            return self
        front = tuple(scale / FRONT_GAIN for scale in self.feature_scales)
        return self.model_copy(
            update={
                "feature_scales": self.feature_scales + front,
                "front_view": False,
                "num_front_features": self.num_features,
            }
        )


def arena_spec() -> EnvironmentSpec:
    """The spec of the suite's own arena, with the simulator's feature scales."""
    from metta.sim.constants import FEATURE_SCALES

    return EnvironmentSpec(feature_scales=tuple(FEATURE_SCALES))
