"""The frozen record of a rung of the memory ladder: a room of altars, and rounds of cue, wait and answer."""

from experiments.recipes.benchmark_architectures.level import Verbs
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

    wait: int
    """Actions that an agent loses between a cue and its answer."""
    altars: int
    """Altars in the room."""

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
