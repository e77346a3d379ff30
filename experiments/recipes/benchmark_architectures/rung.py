"""The frozen record of a rung of the memory ladder: a room of altars, and rounds of cue, wait and answer."""

from collections.abc import Mapping

from pydantic import Field, SkipValidation

from experiments.recipes.benchmark_architectures.level import Verbs
from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.agent.policies.config import PolicyConfig
from metta.sim.arena import HEART_CAP, HEART_REWARD
from metta.sim.config import (
    ActionConfig,
    AgentConfig,
    AgentRewards,
    ConverterConfig,
    RoomConfig,
    RoundsConfig,
    SimConfig,
    WallConfig,
)
from metta.sim.constants import TYPE_ALTAR, TYPE_WALL

NO_COMBAT = 100.0
"""Lasers that an attack costs: more than an agent can hold."""


class Rung(Verbs):
    """The numbers that make a rung; a row of docs/levels.md's table of the memory ladder."""

    size: int = 15
    num_agents: int = 12
    altars: int = 6
    """Altars in the room."""
    wait: int
    """Actions that an agent loses between a cue and its answer."""
    architectures: SkipValidation[Mapping[str, PolicyConfig]] = Field(
        default_factory=lambda: ARCHITECTURES, exclude=True, repr=False
    )

    def make_env(self) -> SimConfig:
        return SimConfig(
            num_agents=self.num_agents,
            objects={
                "wall": WallConfig(type_id=TYPE_WALL),
                # It makes nothing by itself: it pays a heart to whom answers it right.
                "altar": ConverterConfig(type_id=TYPE_ALTAR, output_resources={"heart": 1}, max_conversions=0),
            },
            agent=AgentConfig(
                rewards=AgentRewards(inventory={"heart": HEART_REWARD}, inventory_max={"heart": HEART_CAP})
            ),
            actions={"attack": ActionConfig(consumed_resources={"laser": NO_COMBAT})},
            world=RoomConfig(height=self.size, width=self.size, objects={"altar": self.altars}),
            rounds=RoundsConfig(oracle="altar", wait=self.wait),
        )

    def make_evals(self) -> dict[str, SimConfig]:
        return {"basic": self.make_env()}
