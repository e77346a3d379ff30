"""Training one run in its folder: new, continued or already finished; evaluated at the end."""

import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from metta.base.addresses import local_path
from metta.base.endings import STOPPED
from metta.base.errors import InputError, RunError
from metta.base.files import locked, make_folder
from metta.base.job import Job
from metta.base.patience import patience
from metta.base.stopping import Ending, asked_to_end
from metta.lab.bucket import Bucket, is_bucket, local_folder
from metta.lab.evaluation import result_sentences
from metta.lab.log import ProgressLine, RunLog
from metta.lab.run import Run
from metta.lab.run_folder import Heartbeat, RunFolder
from metta.lab.wandb_mirror import Mode, check_available, mirrored
from metta.rl.config import RunConfig

if TYPE_CHECKING:
    from metta.rl.metrics import Progress


@dataclass(frozen=True)
class TrainJob(Job):
    """Train one run, or continue it, and evaluate it at the end, unless that is left to another job."""

    config: RunConfig
    train_dir: Path
    evaluate: bool = True
    """False leaves the evaluation to another job; it changes nothing in the run's configuration."""
    wandb: Mode = "off"
    """Whether the run is also shown in Weights & Biases; it changes nothing in the run's configuration."""
    bucket: str | None = None
    """Address whose local folder `train_dir` is."""

    fixed: ClassVar[Mapping[str, str]] = {
        "level": "the level is chosen by the path, as in "
        "experiments.recipes.benchmark_architectures.level_2_easy.train",
        "architecture": "the architecture is chosen by policy_architecture= or arch_type=",
    }

    @classmethod
    def of(cls, config: RunConfig, train_dir: str, evaluate: bool, wandb: Mode) -> "TrainJob":
        """A job whose runs lie in a folder of this machine, or at a bucket's address."""
        if is_bucket(train_dir):
            return cls(config, local_folder(train_dir), evaluate, wandb, train_dir)
        return cls(config, local_path(train_dir), evaluate, wandb)

    def execute(self, ending: Ending | None = None) -> int:
        """Returns 0 when the run is finished, 130 when it was asked to stop: by `ending`, else as any process is.

        Raises:
            InputError: the folder cannot be written, belongs to another configuration or is in use, or its checkpoints
                are damaged.
            RunError: training or evaluation failed; what was done is kept.
        """
        folder = RunFolder.of(self.train_dir, self.config.run)
        with ExitStack() as held:
            if self.bucket is not None:
                place = Bucket.open(self.bucket).below(self.config.run)
                make_folder(folder.path)
                held.enter_context(self._locked(folder))  # else what another process works on would be overwritten
                held.enter_context(place.synchronised(lambda said: print(f"warning: {said}", flush=True)))
            return self._in_folder(folder, ending or held.enter_context(asked_to_end()))

    def _locked(self, folder: RunFolder) -> AbstractContextManager[None]:
        return locked(folder.lock_file, f"run {self.config.run!r}")

    def _in_folder(self, folder: RunFolder, ending: Ending) -> int:
        if self.wandb != "off":
            check_available()
        run = Run(self.config, folder)
        configuration = self.config.model_dump(mode="json")
        folder.check_same(configuration)
        if folder.is_finished():
            print(f"Run {self.config.run!r} is already finished; its results are in {folder.path}.")
            return 0
        from metta.rl.devices import check_devices

        check_devices(self.config)  # before anything is written that a corrected command would meet
        make_folder(folder.path)
        with self._locked(folder) if self.bucket is None else nullcontext():
            folder.check_same(configuration)  # again, now that nobody else can begin it
            folder.record_start(configuration)
            log = RunLog(folder.log_file)
            with (
                mirrored(folder, self.wandb, log.say),
                Heartbeat(folder, self.config.trainer.total_timesteps, log.say) as heartbeat,
            ):
                return _guarded(lambda: self._work(run, heartbeat, log, ending), heartbeat, log, ending)

    def _work(self, run: Run, heartbeat: Heartbeat, log: RunLog, ending: Ending) -> None:
        ending.waits = False
        ending.check()
        if not (heartbeat.status.trained and run.is_sound()):
            self._train(run, heartbeat, log, ending)
        ending.waits = False
        ending.check()
        if not self.evaluate:
            heartbeat.update(state="trained")
            return
        heartbeat.update(state="evaluating")
        for sentence in result_sentences(run.evaluate(log.say)):
            log.say(sentence)
        heartbeat.update(state="finished")

    def _train(self, run: Run, heartbeat: Heartbeat, log: RunLog, ending: Ending) -> None:
        config = self.config
        heartbeat.update(state="training", trained=False)  # what was trained and is damaged is no more
        doing = f"{config.architecture} on {config.level}, seed {config.seed}"
        saved = run.folder.steps_saved()
        begins = f"Continuing {doing}, after {saved:,} agent-steps" if saved else f"Training {doing}"
        log.say(
            f"{begins}: {config.trainer.total_timesteps:,} agent-steps, rounded up to whole updates of "
            f"{config.steps_per_update:,}, in {run.folder.path}"
        )
        line = ProgressLine(log)

        def after_update(progress: "Progress") -> None:
            ready()
            ending.waits = True  # until the next update is finished: there is something to save
            line.show(progress)
            ending.check()

        try:
            with patience(log.say) as ready:
                run.train(heartbeat, after_update)
        finally:
            line.close()
        status = heartbeat.status
        log.say(
            f"Trained {doing} in {status.training_seconds:.0f} s, after {status.warm_up_seconds:.0f} s of loading and "
            "compiling."
        )


def _guarded(work: Callable[[], None], heartbeat: Heartbeat, log: RunLog, ending: Ending) -> int:
    """Run `work` so that the folder says how it ended, whatever happened; returns the exit status."""
    try:
        work()
    except (KeyboardInterrupt, BrokenPipeError) as error:
        heartbeat.update(state="stopped")
        sentence = f"Stopped after {heartbeat.status.timesteps:,} agent-steps; the same command continues."
        if isinstance(error, BrokenPipeError):
            log.keep(f"The reader of the output has gone. {sentence}")
            raise
        log.say(sentence)
        return STOPPED
    except ImportError as error:
        sentence = f"a package is missing or broken: {error}."
        heartbeat.update(state="failed", error=sentence)
        log.keep(traceback.format_exc())
        raise InputError(sentence) from error
    except (InputError, RunError) as error:
        heartbeat.update(state="failed", error=str(error))
        log.keep(f"Failed: {error}")
        raise
    except Exception as error:
        sentence = f"{type(error).__name__}: {' '.join(str(error).split())}"
        heartbeat.update(state="failed", error=sentence)
        log.keep(traceback.format_exc())
        raise RunError(f"the run failed with {sentence} (details in {log.path}).") from error
    finally:
        ending.told()
    return 0
