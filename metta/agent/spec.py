"""What a policy needs to know about its environment (torch-free)."""

import math
import re
from typing import Self

from pydantic import Field, model_validator

from metta.base.config import Config

FRONT_GAIN = 4.0
"""Values and feature embeddings of the front view start so much larger than the same elsewhere: what decides most is
then learned first (docs/diary.md)."""


MOVES = ("move_north", "move_south", "move_west", "move_east")
"""Names of the moves, in the order of orientations."""

CHOICES = ("front_view", "egocentric_view", "verbs_prior")
"""Fields that are the trainer's choices, not properties of the environment."""


class EnvironmentSpec(Config):
    """The actions and the shape and scale of observations; saved with every checkpoint.

    An observation is uint8 [num_observation_tokens, 3]: rows of (location, feature id, value), location =
    (row << 4) | column inside the window; unused rows are 255 255 255. A feature occurs once per cell. Rows come
    nearest first: those of the window's centre, where the agent stands, begin the observation, with the global tokens
    before all others. Perceptions rely on it where they look at the first rows only (`max_tokens`, the centre cell).
    """

    feature_scales: tuple[float, ...] = Field(min_length=1, max_length=255)
    """Divisor of a token's value, by feature id (1.0 for unused ids)."""

    action_names: tuple[str, ...] = Field(min_length=1)
    """The flat action set: a policy gives one logit for each. Names that differ only in a number at the end, as
    attack_0 and attack_1, are ways to do one thing: a verb."""

    obs_width: int = Field(default=11, ge=1, le=16)
    """Columns of the agent's window."""

    obs_height: int = Field(default=11, ge=1, le=16)
    """Rows of the agent's window."""

    num_observation_tokens: int = Field(default=200, ge=1)
    """Rows of an observation."""

    front_view: bool = False
    """Whether a policy looks at the cell in front a second time, with feature ids of its own (metta/agent/front.py).
    A choice of the trainer, not of the environment: observations are the same."""

    egocentric_view: bool = False
    """Whether a policy sees the window turned so that the agent faces north, and moves in its terms
    (metta/agent/egocentric.py). A choice of the trainer, too."""

    verbs_prior: bool = False
    """Whether a policy starts from, and is drawn to, all verbs equally often instead of all actions; a verb's actions
    share its part. A choice of the trainer, too."""

    num_front_features: int = Field(default=0, ge=0)
    """How many of the last feature ids are the front view's, in what `perceived` gives to perceptions."""

    @model_validator(mode="after")
    def _ids_are_bytes(self) -> Self:
        if self.front_view and 2 * self.num_features > 255:
            raise ValueError(f"front_view allows at most 127 features; feature_scales has {self.num_features}")
        if self.egocentric_view and not (self.obs_width == self.obs_height and self.obs_width % 2):
            raise ValueError("egocentric_view needs a window with as many rows as columns, an odd number")
        return self

    @property
    def num_actions(self) -> int:
        """Size of the flat action set."""
        return len(self.action_names)

    @property
    def moves(self) -> tuple[int, ...]:
        """The moves north, south, west and east as actions; empty where not all four are actions."""
        names = self.action_names
        return tuple(names.index(name) for name in MOVES) if set(MOVES) <= set(names) else ()

    def log_prior(self) -> tuple[float, ...]:
        """Logarithm of the probability that each action has before anything is learned."""
        if not self.verbs_prior:
            return (-math.log(self.num_actions),) * self.num_actions
        verbs = [re.sub(r"_\d+$", "", name) for name in self.action_names]
        return tuple(-math.log(len(set(verbs)) * verbs.count(verb)) for verb in verbs)

    @property
    def num_features(self) -> int:
        """Number of feature ids; a token with a higher id is ignored (255 marks an unused row)."""
        return len(self.feature_scales)

    def perceived(self) -> "EnvironmentSpec":
        """What perceptions are built for: with the front view every feature a second time, louder."""
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
    from metta.sim.constants import ACTION_NAMES, FEATURE_SCALES

    return EnvironmentSpec(feature_scales=FEATURE_SCALES, action_names=ACTION_NAMES)
