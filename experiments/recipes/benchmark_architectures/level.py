"""The frozen record of a level and its verbs: train, evaluate, probe, play, replay, make_env, make_evals.

`Verbs` is what every level can do, whatever its environments are; `Level` is one of the five, an arena.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, SkipValidation, ValidationError, model_validator

from experiments.recipes.benchmark_architectures.crossed import CROSSED
from experiments.recipes.benchmark_architectures.learning_rates import learning_rate
from metta.agent.choice import choose_architecture
from metta.agent.policies.config import PolicyConfig
from metta.base.addresses import check_run_name
from metta.base.config import Config, sentence
from metta.base.errors import InputError
from metta.lab.evaluation import EvaluateConfig, EvaluateJob
from metta.lab.plan import id_part
from metta.lab.training import TrainJob
from metta.lab.wandb_mirror import Mode
from metta.play.live import PlayConfig, PlayJob
from metta.probes.memory import ProbeConfig, ProbeJob
from metta.replay.writing import ReplayConfig, ReplayJob
from metta.rl.config import CurriculumConfig, RunConfig
from metta.sim.arena import arena_config
from metta.sim.config import SimConfig

DEFAULT_ARCHITECTURE = "vit"


class Verbs(Config):
    """What a level is called, and what can be done with it."""

    name: str
    """Name of the level's module and of the level everywhere."""
    purpose: str
    """What the level tests."""
    size: int
    """Inner cells of the square map per side."""
    num_agents: int
    """Agents per world."""
    curriculum: CurriculumConfig = CurriculumConfig()
    """Tasks that training draws its episodes from; evaluation never does."""
    architectures: SkipValidation[Mapping[str, PolicyConfig]] = Field(exclude=True, repr=False)
    """The registry; the very object, so that an entry added to it is available in every level."""

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        try:
            self.make_env()
            self.make_evals()
        except ValidationError as error:
            raise ValueError(sentence(error, SimConfig)) from None
        return self

    def train(
        self,
        run: str | None = None,
        policy_architecture: str | None = None,
        arch_type: str | None = None,
        seed: int = 0,
        train_dir: str = "./train_dir",
        evaluate: bool = True,
        wandb: Mode = "off",
    ) -> TrainJob:
        """Train one run on this level, or continue it, and evaluate it at the end.

        Args:
            run: name of the run and of its folder below train_dir; none gives single.<architecture>.<level>.s<seed>.
            policy_architecture: a key of ARCHITECTURES, or a configuration as Name, Name() or Name(key=literal, ...);
                none gives vit.
            arch_type: another name for policy_architecture, for a key.
            seed: reaches weights, worlds, action sampling and minibatch order.
            train_dir: folder in which runs lie, or the address of one in a bucket (s3://bucket/folder).
            evaluate: false leaves the evaluation to a repetition of the command without it.
            wandb: off, or show the run in Weights & Biases, offline (into the run's folder) or online.
        """
        name, policy = self._chosen(policy_architecture, arch_type) or choose_architecture(
            DEFAULT_ARCHITECTURE, self.architectures
        )
        config = RunConfig.parse(
            {
                "run": check_run_name(run) if run is not None else f"single.{id_part(name)}.{self.name}.s{seed}",
                "level": self.name,
                "architecture": name,
                "seed": seed,
                "policy": policy,
                "sim": self.make_env(),
                "evaluation_environments": self.make_evals(),
                "curriculum": self.curriculum,
                "trainer": {"learning_rate": learning_rate(name)},
            }
        )
        return TrainJob.of(config, train_dir, evaluate, wandb)

    def evaluate(
        self, policy_uri: str, policy_architecture: str | None = None, arch_type: str | None = None
    ) -> EvaluateJob:
        """Evaluate a checkpoint on this level's evaluation environments.

        Args:
            policy_uri: address of the checkpoint: file://<folder>/checkpoints (newest), ...checkpoints:best, one named
                checkpoint, or a plain path; or a reference player: `random`, `blind`, `reflex` or `scripted`.
            policy_architecture: if given, a checkpoint of another architecture is refused.
            arch_type: another name for policy_architecture, for a key.
        """
        return EvaluateJob(EvaluateConfig(**self._player(policy_uri, policy_architecture, arch_type)))

    def probe(self, policy_uri: str, policy_architecture: str | None = None, arch_type: str | None = None) -> ProbeJob:
        """Measure what a checkpoint's memory is worth in hearts: its state emptied, exchanged and delayed.

        Args:
            policy_uri: address of the checkpoint, as for evaluate.
            policy_architecture: if given, a checkpoint of another architecture is refused.
            arch_type: another name for policy_architecture, for a key.
        """
        return ProbeJob(ProbeConfig(**self._player(policy_uri, policy_architecture, arch_type)))

    def play(self, policy_uri: str, policy_architecture: str | None = None, arch_type: str | None = None) -> PlayJob:
        """Watch players live in a browser page on this machine, or steer an agent among them.

        Args:
            policy_uri: address of the checkpoint or name of a reference player, as for evaluate. It plays every agent
                that players= does not name.
            policy_architecture: if given, a checkpoint of another architecture is refused.
            arch_type: another name for policy_architecture, for a key.
        """
        return PlayJob(PlayConfig(**self._player(policy_uri, policy_architecture, arch_type)))

    def replay(
        self, policy_uri: str, policy_architecture: str | None = None, arch_type: str | None = None
    ) -> ReplayJob:
        """Write one evaluation episode as a page that plays it in a browser.

        Args:
            policy_uri: address of the checkpoint or name of a reference player, as for evaluate.
            policy_architecture: if given, a checkpoint of another architecture is refused.
            arch_type: another name for policy_architecture, for a key.
        """
        return ReplayJob(ReplayConfig(**self._player(policy_uri, policy_architecture, arch_type)))

    def make_env(self) -> SimConfig:
        """The training environment."""
        raise NotImplementedError

    def make_evals(self) -> dict[str, SimConfig]:
        """The evaluation environments by name."""
        raise NotImplementedError

    def _player(self, policy_uri: str, policy_architecture: str | None, arch_type: str | None) -> dict[str, Any]:
        """What every verb for a player is told; the architecture is None if any will do."""
        chosen = self._chosen(policy_architecture, arch_type)
        return {
            "policy_uri": policy_uri,
            "level": self.name,
            "architecture": None if chosen is None else chosen[0],
            "evaluation_environments": self.make_evals(),
        }

    def _chosen(self, policy_architecture: str | None, arch_type: str | None) -> tuple[str, PolicyConfig] | None:
        """Name and configuration, None if neither is given; two names of one thing may be given if they agree."""
        given = [name for name in (policy_architecture, arch_type) if name is not None]
        chosen = [
            (name, CROSSED[name]) if name in CROSSED else choose_architecture(name, self.architectures)
            for name in given
        ]
        if len(chosen) == 2 and chosen[0][0] != chosen[1][0]:
            raise InputError(
                f"policy_architecture={policy_architecture} and arch_type={arch_type} name different architectures; "
                "give one of them."
            )
        return chosen[0] if chosen else None


class Level(Verbs):
    """The numbers that make an arena; a row of docs/levels.md's tables."""

    altar_ratio: int
    """Red batteries per heart."""
    initial_count: int
    """Outputs inside every converter at the start of an episode."""
    laser_cost: int
    """Lasers per attack in training; 100 is more than an agent can hold, so combat is off."""
    rewards: dict[str, float]
    """Reward per item held; a heart always counts 1."""
    caps: dict[str, float]
    """Most reward of each item, in reward units; hearts always have 100."""
    evaluation_laser_costs: dict[str, int]
    """Evaluation environments by name, each with its laser cost."""

    def make_env(self) -> SimConfig:
        return self._arena(self.laser_cost)

    def make_evals(self) -> dict[str, SimConfig]:
        return {name: self._arena(cost) for name, cost in self.evaluation_laser_costs.items()}

    def _arena(self, laser_cost: int) -> SimConfig:
        return arena_config(
            size=self.size,
            num_agents=self.num_agents,
            altar_ratio=self.altar_ratio,
            initial_count=self.initial_count,
            laser_cost=laser_cost,
            rewards=self.rewards,
            caps=self.caps,
        )
