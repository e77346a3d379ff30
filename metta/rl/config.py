"""The run configuration: everything that decides a training run and its evaluation, in one record saved first."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from metta.agent.policies.config import PolicyConfig
from metta.base.config import Config
from metta.sim.config import SimConfig


class TrainerConfig(Config):
    """Recurrent PPO. A timestep is one agent-step: one agent acting once."""

    total_timesteps: int = Field(default=1_000_000, ge=1, le=10**15)
    """Agent-steps to train for; rounded up to whole updates."""
    num_streams: int = Field(default=240, ge=1)
    """Wanted number of agents acting in parallel; the nearest whole number of worlds is used (at least one)."""
    rollout_steps: int = Field(default=32, ge=1)
    """Steps per rollout and length of a training segment (T)."""
    episode_steps: int = Field(default=0, ge=0)
    """Training episodes are cut off (truncated, with bootstrap) after so many steps; 0: never. Evaluation never is."""
    minibatches: int = Field(default=15, ge=1)
    """Minibatches per epoch; they split streams, never time."""
    epochs: int = Field(default=1, ge=1)
    """Passes over each rollout."""
    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    """Adam's step size at the start; it falls linearly over the run."""
    final_learning_rate_share: float = Field(default=0.02, ge=0, le=1)
    """Share of that step size which is left at the run's end."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Adam's decay of the gradient mean."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Adam's decay of the squared-gradient mean."""
    adam_eps: float = Field(default=3.2e-7, gt=0)
    """Adam's denominator offset."""
    gamma: float = Field(default=0.99, ge=0, le=1)
    """Discount per step."""
    gae_lambda: float = Field(default=0.8, ge=0, le=1)
    """Lambda of generalised advantage estimation."""
    clip: float = Field(default=0.2, gt=0)
    """Clip range of the probability ratio."""
    value_clip: float = Field(default=0.0, ge=0)
    """Clip range of the value's move per update; 0 switches value clipping off."""
    value_weight: float = Field(default=0.5, ge=0)
    """Weight of the value loss."""
    entropy_weight: float = Field(default=0.03, ge=0)
    """Weight of the bonus for staying near the prior over actions, -KL(policy || prior), at the start; it falls
    linearly over the run."""
    final_entropy_share: float = Field(default=0.1, ge=0, le=1)
    """Share of that weight which is left at the run's end."""
    reward_scale: float = Field(default=1.0, ge=0)
    """Rewards are divided by the running standard deviation of discounted returns and multiplied by this before they
    are learned from; 0: they are learned from as they are."""
    max_gradient_norm: float = Field(default=2.0, gt=0)
    """Global gradient-norm limit."""
    normalise_advantages: bool = False
    """Whether advantages have mean 0 and standard deviation 1 in each minibatch."""
    front_view: bool = True
    """Whether policies look at the cell in front a second time, under feature ids of its own."""
    egocentric_view: bool = True
    """Whether policies see the window turned so that the agent faces north, and move in its terms."""
    verbs_prior: bool = True
    """Whether the prior over actions gives all verbs the same probability (the nine attacks share one verb's); false:
    all actions."""
    average_share: float = Field(default=0.05, ge=0, le=1)
    """What is evaluated and kept is the mean of the weights over about the last updates, this share of all updates so
    far (metta/rl/average.py); 0: the newest weights."""
    curve_points: int = Field(default=10, ge=0)
    """How often the policy is evaluated on held-out worlds during training, evenly over the run; 0: never."""
    curve_worlds: int = Field(default=1, ge=1)
    """Worlds of each of these evaluations, one full episode each; apart from those of the final evaluation."""
    checkpoint_every: int = Field(default=250_000, ge=1)
    """Agent-steps between checkpoints; the first state, those of the held-out curve and the last are always saved."""

    def entropy_weight_at(self, timesteps: int) -> float:
        """Weight of the bonus for staying near the prior after so many agent-steps."""
        return self.entropy_weight * self._falling(timesteps, self.final_entropy_share)

    def learning_rate_at(self, timesteps: int) -> float:
        """Adam's step size after so many agent-steps."""
        return self.learning_rate * self._falling(timesteps, self.final_learning_rate_share)

    def _falling(self, timesteps: int, final_share: float) -> float:
        return 1 - min(timesteps / self.total_timesteps, 1.0) * (1 - final_share)


class CurriculumConfig(Config):
    """Training tasks: the training environment with other costs and contents, and how the next one is drawn."""

    sampler: Literal["off", "uniform", "learning_progress"] = "off"
    """off: every episode is played by the training environment as it is; uniform: all tasks equally often;
    learning_progress: tasks whose success changes come more often."""
    laser_costs: tuple[Annotated[int, Field(ge=0, le=255)], ...] = (1, 100)
    """Lasers that an attack costs; the tasks are every combination of these and the counts."""
    initial_counts: tuple[Annotated[int, Field(ge=0, le=255)], ...] = (0, 1)
    """Outputs inside at the start of an episode, for each kind of converter apart."""
    time_scale: float = Field(default=0.001, gt=0, le=1)
    """Share of a new success in the fast mean of a task, and of the fast mean in the slow one."""
    exploration_bonus: float = Field(default=0.1, gt=0, le=1)
    """Added to the progress of every active task, which is at most 1."""
    active_tasks: int = Field(default=16, ge=1)
    """Tasks that are drawn from at a time; the others take turns with those of little progress."""
    max_tasks: int = Field(default=1000, ge=1, le=10_000)
    """Most tasks kept; of more combinations so many are drawn by the run's seed."""

    @model_validator(mode="after")
    def _values_differ(self) -> "CurriculumConfig":
        for name in ("laser_costs", "initial_counts"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ValueError(f"{name} must be different whole numbers, at least one (given: {list(values)})")
        return self


class EvaluationConfig(Config):
    """Held-out episodes, the same for every architecture and training seed."""

    worlds: int = Field(default=16, ge=1, le=10_000)
    """Worlds, one full episode each."""
    seed: int = Field(default=20_260_101, ge=0)
    """Seed of the evaluation maps, spawns and action sampling; its worlds are disjoint from all training worlds."""


class SystemConfig(Config):
    """Where and how the computation runs."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU if torch sees one."""
    threads: int = Field(default=0, ge=0, le=1024)
    """CPU threads, each with its own share of the streams; 0 means all cores given to this process."""
    cuda_graphs: bool = Field(default=True, exclude_if=lambda recorded: recorded)
    """On a GPU, acting and learning are recorded once and played back (CUDA graphs), with the same numbers; false: they
    are not."""


class TrainingSimConfig(SimConfig):
    """The training environment, and where its worlds are; those of evaluations are always on the CPU."""

    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", exclude_if=lambda device: device == "auto")
    """Where training worlds are; cuda needs a GPU and numba-cuda, `auto` takes it if both are there and the policy is
    on the GPU. The worlds are the same to the bit; values where an episode is cut off differ by rounding."""

    @model_validator(mode="before")
    @classmethod
    def _of_environment(cls, given: Any) -> Any:
        """An environment as it is becomes one on the CPU."""
        return dict(given) if isinstance(given, SimConfig) and not isinstance(given, cls) else given


class RunConfig(Config):
    """One training run, resolved: nothing that affects its numbers is left out."""

    run: str
    """Name of the run and of its folder below train_dir."""
    level: str
    """Level name, e.g. level_1_basic."""
    architecture: str
    """Key of the architecture, or the configuration expression it was given as."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Reaches weights, worlds, action sampling and minibatch order, each through its own stream."""
    policy: PolicyConfig
    """Policy configuration."""
    sim: TrainingSimConfig
    """Training environment."""
    evaluation_environments: dict[str, SimConfig] = Field(min_length=1)
    """Evaluation environments by name, e.g. basic, combat."""
    trainer: TrainerConfig = TrainerConfig()
    curriculum: CurriculumConfig = CurriculumConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    system: SystemConfig = SystemConfig()

    @model_validator(mode="after")
    def _minibatches_split_streams(self) -> "RunConfig":
        if self.trainer.minibatches > self.num_worlds * self.sim.num_agents:
            raise ValueError(
                f"trainer.minibatches={self.trainer.minibatches} exceeds the {self.num_worlds * self.sim.num_agents} "
                "streams; lower it or raise trainer.num_streams"
            )
        return self

    @model_validator(mode="after")
    def _window_can_be_turned(self) -> "RunConfig":
        rows, columns = self.sim.obs_height, self.sim.obs_width
        if self.trainer.egocentric_view and not (rows == columns and rows % 2):
            raise ValueError(
                f"trainer.egocentric_view needs a window with as many rows as columns, an odd number, not {rows} x "
                f"{columns}; set it to false or choose another window"
            )
        return self

    @property
    def episode_length(self) -> int:
        """Steps of a training episode, apart from the first of each world, which has a random length."""
        return min(self.trainer.episode_steps or self.sim.max_steps, self.sim.max_steps)

    @property
    def steps_per_update(self) -> int:
        """Agent-steps between two updates; training ends with the first update that reaches `total_timesteps`."""
        return self.num_worlds * self.sim.num_agents * self.trainer.rollout_steps

    @property
    def num_worlds(self) -> int:
        """Training worlds: the whole number nearest to the wanted streams."""
        return max(1, round(self.trainer.num_streams / self.sim.num_agents))
