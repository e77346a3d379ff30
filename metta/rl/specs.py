"""What a policy has to know of an environment and of the trainer's choices."""

from metta.agent.spec import CHOICES, EnvironmentSpec
from metta.rl.config import TrainerConfig
from metta.sim.config import SimConfig
from metta.sim.constants import ACTION_NAMES, FEATURE_SCALES


def spec_of(sim: SimConfig, trainer: TrainerConfig | None = None) -> EnvironmentSpec:
    """The environment's description; with a trainer, its choice of views and prior too.

    Raises:
        InputError: a view does not fit the environment's window.
    """
    return EnvironmentSpec.parse(
        {
            "feature_scales": FEATURE_SCALES,
            "action_names": ACTION_NAMES,
            "obs_width": sim.obs_width,
            "obs_height": sim.obs_height,
            "num_observation_tokens": sim.num_observation_tokens,
            **({} if trainer is None else {name: getattr(trainer, name) for name in CHOICES}),
        },
        "environment",
    )
