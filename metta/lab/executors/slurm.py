"""Jobs of a Slurm cluster: submitit writes and submits them (sbatch with requeue), squeue says where they stand.

Slurm itself is the memory: a job carries its command's name, and the experiment's folder as its comment, so that a
controller that is started anew finds the jobs of the one before. The folder must be on a file system that all nodes
share. States: https://slurm.schedmd.com/squeue.html#SECTION_JOB-STATE-CODES.
"""

import importlib.util
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from metta.base.endings import INPUT_ERROR, RUN_ERROR
from metta.base.errors import InputError, RunError
from metta.lab.executors.contract import Command, Ended, UnavailableError, size_of
from metta.lab.executors.launcher import BaseLauncher
from metta.lab.executors.remote import Job, Listed, RemoteExecutor
from metta.lab.executors.remote_command import RemoteCommand, exit_status

ENDINGS = {
    "BOOT_FAIL": "its node did not start",
    "CANCELLED": "it was cancelled",
    "DEADLINE": "its deadline passed",
    "FAILED": "it failed",
    "GONE": "it is gone without a result",  # Slurm does not list it any more
    "NODE_FAIL": "its node died",
    "OUT_OF_MEMORY": "it needed more memory than it was given (--resource mem=<N>G)",
    "PREEMPTED": "it was preempted",
    "REVOKED": "another cluster took it",
    "TIMEOUT": "its time was up (--resource time=<minutes>)",
}
NEVER = {"PartitionTimeLimit", "PartitionNodeLimit", "BadConstraints", "InvalidAccount", "InvalidQOS"}
"""Reasons for waiting that do not pass by themselves."""
NO_ANSWER = ("unable to contact", "timed out", "connection refused", "resource temporarily unavailable", "try again")
"""What Slurm's commands say when the controller is too busy or is being restarted."""

SECONDS_TO_ANSWER = 60.0
REQUEUES_FOR_TIME = 100
"""How often a job may be started again because its time was up; it goes on from its checkpoint."""
DEFAULTS: Mapping[str, Any] = {"time": 24 * 60, "gpus_per_node": 1}
"""Options of sbatch: minutes a job may run until it is started again, and GPUs."""


class SlurmExecutor(RemoteExecutor):
    """Submits commands to Slurm."""

    waiting = (
        *("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"),
        *("SUSPENDED", "STOPPED"),
    )
    working = ("RUNNING", "COMPLETING", "RESIZING", "SIGNALING", "STAGE_OUT")
    seconds_between_questions = 3.0
    questions = 20
    seconds_to_stop = 90.0
    seconds_until_lost = 60.0

    def __init__(
        self, slots: int, folder: Path, cpus: int, resources: Mapping[str, Any], ask: Callable[..., str]
    ) -> None:
        """Prepare to submit jobs.

        Args:
            slots: jobs in the queue at once.
            folder: the experiment's folder; submitit's scripts and results lie in its `.slurm`.
            cpus: processor cores per job.
            resources: further options of sbatch (`_` or `-` within names); 0 leaves one out, and `time` is in minutes.
            ask: gives what one of Slurm's commands prints (`ask_slurm`).

        Raises:
            InputError: submitit or Slurm is missing.
        """
        check_available()
        import submitit

        super().__init__(slots)
        self._folder, self._ask = folder.resolve(), ask
        chosen = {**DEFAULTS, **resources}
        self._jobs_folder = self._folder / ".slurm"
        self._executor = submitit.SlurmExecutor(self._jobs_folder / "%j", max_num_timeout=REQUEUES_FOR_TIME)
        self._executor.update_parameters(
            time=chosen.pop("time"),
            cpus_per_task=cpus,
            srun_args=[f"--cpus-per-task={cpus}"],  # since version 22.05 srun does not take it over from the job
            stderr_to_stdout=True,
            comment=str(self._folder),  # where a later controller finds out whose job it is
            additional_parameters={"requeue": True, **{name: value for name, value in chosen.items() if value != 0}},
        )

    def _name_of(self, command: Command) -> str:
        return command.name

    def _submit(self, command: Command) -> Job:
        self._executor.update_parameters(job_name=command.name)
        # The node looks for the log there, whatever its current folder is.
        since = size_of(command.log_file)
        words = RemoteCommand(command.words, command.log_file.resolve(), command.threads, self._jobs_folder)
        try:
            job = self._executor.submit(words)
        except OSError as error:
            raise RunError(f"cannot submit a job from {self._folder}: {error}.") from error
        except Exception as error:
            said = _last_line(str(error))
            if any(part in said.lower() for part in NO_ANSWER):
                self._doubtful.add(command.name)
                raise UnavailableError(said) from error
            raise InputError(f"Slurm refuses the job: {said}") from error
        return Job(command, str(job.job_id), time.monotonic(), since=since)

    def _listed(self) -> dict[str, Listed]:
        text = self._ask("squeue", "--me", "--states=all", "--noheader", "--format=%A|%T|%r|%j|%k")
        lines = [line.split("|", 4) for line in text.splitlines() if line.count("|") >= 4]
        own = [line for line in lines if line[4] == str(self._folder)]
        return {id: Listed(id, name, state, reason) for id, state, reason, name, _ in own}

    def _cancel(self, ids: Sequence[str]) -> None:
        self._ask("scancel", *ids)

    def _look_at(self, job: Job, listed: Listed | None) -> Ended | None:
        if listed is not None and listed.state in self.waiting and listed.reason in NEVER and job.refused is None:
            job.refused = f"job {job.id} could never start in Slurm: {listed.reason}; see --resource."
            job.ending = True
        return super()._look_at(job, listed)

    def _end_of(self, job: Job, listed: Listed | None) -> Ended | None:
        if job.refused is not None:
            return Ended(job.command, INPUT_ERROR, job.refused)
        if listed is None or listed.state == "COMPLETED":
            try:
                status = exit_status(self._jobs_folder / str(job.id))
            except (InputError, RunError) as error:
                return Ended(job.command, RUN_ERROR, str(error))
            if status is not None:
                return Ended(job.command, status, since=job.since)
            if listed is None and not self._is_lost(job):
                return None
        state = listed.state if listed else "GONE"
        why = ENDINGS.get(state, f"its state is {state}")
        return Ended(job.command, RUN_ERROR, f"Slurm job {job.id} ended: {why}; its log is {job.command.log_file}.")

    def _left_over(self, jobs: Sequence[Job]) -> str:
        left = " ".join(str(job.id) for job in jobs)
        return (
            f"Slurm has not said that these jobs have ended, and they may go on: {left}; see `squeue --me`, and cancel "
            f"them with `scancel {left}`."
        )


class Launcher(BaseLauncher):
    """A Slurm cluster that this machine can submit to."""

    def resources(self) -> dict[str, Any]:
        """Further options of sbatch. Raises `InputError`."""
        found = super().resources()
        if not (isinstance(found.get("time", 1), int) and found.get("time", 1) >= 1):
            raise InputError(f"--resource time={found['time']} must be a whole number of minutes, at least 1.")
        return found

    def executor(self, slots: int, output: Path, address: str | None) -> SlurmExecutor:
        """Jobs in the queue. Raises `InputError` if submitit or Slurm is missing."""
        return SlurmExecutor(slots, output, self.cpus_per_job, self.resources(), ask_slurm)


def check_available() -> None:
    """Raise `InputError` saying what to install if submitit or Slurm's commands are missing."""
    if importlib.util.find_spec("submitit") is None:
        raise InputError("--launcher slurm needs the package submitit: run `uv sync --group slurm`, or give --local.")
    missing = [name for name in ("sbatch", "squeue", "scancel", "srun") if shutil.which(name) is None]
    if missing:
        raise InputError(
            f"--launcher slurm needs Slurm's commands, and {', '.join(missing)} cannot be found; run it where the "
            "cluster's users log in, or give --local."
        )


def ask_slurm(*words: str) -> str:
    """What one of Slurm's commands prints. Raises `UnavailableError` if it fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=SECONDS_TO_ANSWER)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{words[0]} does not answer.") from None
    if done.returncode != 0:
        raise UnavailableError(f"{words[0]}: {_last_line(done.stderr)}")
    return done.stdout


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines()]
    said = [line for line in lines if "error:" in line]
    return (said or lines or ["no reason was given"])[-1].removeprefix("sbatch: error: ")
