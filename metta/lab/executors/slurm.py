"""Jobs of a Slurm cluster: submitit writes and submits them (sbatch with requeue), squeue says where they stand.

Slurm itself is the memory: a job carries its command's name, and the experiment's folder as its comment, so that a
controller that is started anew finds the jobs of the one before. The folder must be on a file system that all nodes
share. States: https://slurm.schedmd.com/squeue.html#SECTION_JOB-STATE-CODES.
"""

import importlib.util
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metta.base.endings import INPUT_ERROR, RUN_ERROR
from metta.base.errors import InputError, RunError
from metta.lab.executors.contract import Command, Ended, NotNowError
from metta.lab.executors.launcher import BaseLauncher
from metta.lab.executors.remote_command import RemoteCommand, exit_status

WAITING = {
    *("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"),
    *("SUSPENDED", "STOPPED"),
}
WORKING = {"RUNNING", "COMPLETING", "RESIZING", "SIGNALING", "STAGE_OUT"}
ENDINGS = {
    "BOOT_FAIL": "its node did not start",
    "CANCELLED": "it was cancelled",
    "DEADLINE": "its deadline passed",
    "FAILED": "it failed",
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

SECONDS_BETWEEN_QUESTIONS = 3.0
QUESTIONS = 20
"""How often Slurm is asked for what an earlier controller left, before that is given up."""
SECONDS_TO_ANSWER = 60.0
SECONDS_TO_STOP = 90.0
"""Time that cancelled jobs get to leave the queue."""
SECONDS_UNTIL_LOST = 60.0
"""A job that Slurm does not list for so long, and that left no result, is lost."""
REQUEUES_FOR_TIME = 100
"""How often a job may be started again because its time was up; it goes on from its checkpoint."""
DEFAULTS: Mapping[str, Any] = {"time": 24 * 60, "gpus_per_node": 1}
"""Options of sbatch: minutes a job may run until it is started again, and GPUs."""


@dataclass
class _Job:
    command: Command
    id: str
    seen_at: float
    queued: bool = True
    ending: bool = False
    """It is to be cancelled."""
    cancelled: bool = False
    """Slurm has taken the request to cancel it."""
    refused: str | None = None
    """Why it was cancelled by this executor, if it could never have started."""


class SlurmExecutor:
    """Submits commands to Slurm."""

    def __init__(self, slots: int, folder: Path, cpus: int, resources: Mapping[str, Any]) -> None:
        """Prepare to submit jobs.

        Args:
            slots: jobs in the queue at once.
            folder: the experiment's folder; submitit's scripts and results lie in its `.slurm`.
            cpus: processor cores per job.
            resources: further options of sbatch (`_` or `-` within names); 0 leaves one out, and `time` is in minutes.

        Raises:
            InputError: submitit or Slurm is missing.
        """
        check_available()
        import submitit

        self._slots = slots
        self._folder = folder.resolve()
        self._jobs: dict[str, _Job] = {}
        self._asked_at = float("-inf")
        self._doubtful: set[str] = set()
        """Names of commands of which it is not known whether their submission succeeded."""
        chosen = {**DEFAULTS, **resources}
        self._jobs_folder = self._folder / ".slurm"
        self._executor = submitit.SlurmExecutor(self._jobs_folder / "%j", max_num_timeout=REQUEUES_FOR_TIME)
        self._executor.update_parameters(
            time=chosen.pop("time"),
            cpus_per_task=cpus,
            srun_args=[f"--cpus-per-task={cpus}"],  # since version 22.05 srun does not take it over from the job
            stderr_to_stdout=True,
            comment=str(self._folder),
            additional_parameters={"requeue": True, **{name: value for name, value in chosen.items() if value != 0}},
        )

    @property
    def slots(self) -> int:
        """Jobs that may be in the queue at once."""
        return self._slots

    def adopt(self, commands: Sequence[Command]) -> list[str]:
        """Take over the jobs that an earlier controller of this experiment left in the queue.

        Raises `NotNowError` if Slurm does not answer.
        """
        waiting = {command.name: command for command in commands}
        for again in range(QUESTIONS - 1, -1, -1):
            try:
                listed = self._listed()
                break
            except NotNowError:
                if not again:
                    raise
                time.sleep(SECONDS_BETWEEN_QUESTIONS)
        for line in listed.values():
            command = waiting.get(line.name)
            if command is not None and line.comment == str(self._folder) and line.state in WAITING | WORKING:
                self._jobs[command.name] = _Job(command, line.id, time.monotonic(), line.state in WAITING)
        return list(self._jobs)

    def start(self, command: Command) -> None:
        """Submit a job.

        Raises:
            InputError: sbatch refuses it.
            NotNowError: Slurm does not answer.
        """
        if command.name in self._doubtful:
            if command.name in self.adopt([command]):
                return
            self._doubtful.discard(command.name)
        # The comment is where a later controller finds out whose job it is.
        self._executor.update_parameters(job_name=command.name)
        # The node looks for the log there, whatever its current folder is.
        words = RemoteCommand(command.words, command.log_file.resolve(), command.threads, self._jobs_folder)
        try:
            job = self._executor.submit(words)
        except OSError as error:
            raise RunError(f"cannot submit a job from {self._folder}: {error}.") from error
        except Exception as error:
            said = _last_line(str(error))
            if any(part in said.lower() for part in NO_ANSWER):
                self._doubtful.add(command.name)
                raise NotNowError(said) from error
            raise InputError(f"Slurm refuses the job: {said}") from error
        self._jobs[command.name] = _Job(command, str(job.job_id), time.monotonic())

    def queued(self) -> list[str]:
        """Names of the jobs that wait for a node."""
        return [name for name, job in self._jobs.items() if job.queued]

    def poll(self) -> list[Ended]:
        """The jobs that have ended since the last call; Slurm is asked every few seconds."""
        if not self._jobs or time.monotonic() - self._asked_at < SECONDS_BETWEEN_QUESTIONS:
            return []
        self._cancel()
        try:
            listed = self._listed()
        except NotNowError:
            return []  # the jobs go on without an answer
        finally:
            self._asked_at = time.monotonic()
        ended = []
        for name, job in list(self._jobs.items()):
            end = self._end_of(job, listed.get(job.id))
            if end is not None:
                del self._jobs[name]
                ended.append(end)
        return ended

    def end(self, name: str) -> None:
        """Have a job cancelled by the next `poll`: Slurm asks it to stop and kills it if it does not."""
        self._jobs[name].ending = True
        self._asked_at = float("-inf")

    def close(self) -> None:
        """Cancel all jobs and wait until they have left the queue; says which have not."""
        deadline = time.monotonic() + SECONDS_TO_STOP
        for job in self._jobs.values():
            job.ending = True
        self._asked_at = float("-inf")
        while self._jobs and time.monotonic() < deadline:
            self.poll()
            time.sleep(0.2)
        if self._jobs:
            left = " ".join(job.id for job in self._jobs.values())
            print(
                f"warning: Slurm has not ended these jobs within {SECONDS_TO_STOP:.0f} seconds, and they may go on: "
                f"{left}; see `squeue --me`, and cancel them with `scancel {left}`.",
                file=sys.stderr,
            )
        self._jobs.clear()

    def _end_of(self, job: _Job, line: "_Line | None") -> Ended | None:
        """How the job ended, or None while it has not."""
        if line is not None:
            job.seen_at = time.monotonic()
            job.queued = line.state in WAITING
            if job.queued and line.reason in NEVER and job.refused is None:
                job.refused = f"job {job.id} could never start in Slurm: {line.reason}; see --resource."
                job.ending = True
            if line.state in WAITING | WORKING:
                return None
        if job.refused is not None:
            return Ended(job.command, INPUT_ERROR, job.refused)
        if line is None or line.state == "COMPLETED":
            try:
                status = exit_status(self._jobs_folder / job.id)
            except (InputError, RunError) as error:
                return Ended(job.command, RUN_ERROR, str(error))
            if status is not None:
                return Ended(job.command, status)
            if time.monotonic() - job.seen_at < SECONDS_UNTIL_LOST and line is None:
                return None
        why = "it is gone without a result" if line is None else ENDINGS.get(line.state, f"its state is {line.state}")
        return Ended(job.command, RUN_ERROR, f"Slurm job {job.id} ended: {why}; its log is {job.command.log_file}.")

    def _cancel(self) -> None:
        """Cancel what is to end; without an answer the next `poll` does it again, which hurts no job that has ended."""
        jobs = [job for job in self._jobs.values() if job.ending and not job.cancelled]
        if not jobs:
            return
        try:
            _ask("scancel", *(job.id for job in jobs))
        except NotNowError:
            return
        for job in jobs:
            job.cancelled = True

    def _listed(self) -> dict[str, "_Line"]:
        """What Slurm knows of this user's jobs, by id."""
        text = _ask("squeue", "--me", "--states=all", "--noheader", "--format=%A|%T|%r|%j|%k")
        found = [_Line(*line.split("|", 4)) for line in text.splitlines() if line.count("|") >= 4]
        return {line.id: line for line in found}


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
        return SlurmExecutor(slots, output, self.cpus_per_job, self.resources())


@dataclass(frozen=True)
class _Line:
    """A job as squeue lists it."""

    id: str
    state: str
    reason: str
    name: str
    comment: str


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


def _ask(*words: str) -> str:
    """What one of Slurm's commands prints. Raises `NotNowError` if it fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=SECONDS_TO_ANSWER)
    except subprocess.TimeoutExpired:
        raise NotNowError(f"{words[0]} does not answer.") from None
    if done.returncode != 0:
        raise NotNowError(f"{words[0]}: {_last_line(done.stderr)}")
    return done.stdout


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines()]
    said = [line for line in lines if "error:" in line]
    return (said or lines or ["no reason was given"])[-1].removeprefix("sbatch: error: ")
