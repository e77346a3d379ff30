"""Jobs on clouds, Kubernetes and clusters through SkyPilot: one managed job per command, asked about through its SDK.

A managed job is started again on another machine after a pre-emption, and goes on from the checkpoint in the bucket.
Its name holds the command's name and a mark of the bucket, so that a controller that is started anew finds the jobs of
the one before. States: https://docs.skypilot.co/en/latest/examples/managed-jobs.html.
"""

import hashlib
import importlib.util
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metta.base.endings import IN_USE, INPUT_ERROR, RUN_ERROR
from metta.base.errors import InputError
from metta.base.provenance import REPOSITORY
from metta.lab.executors.contract import Command, Ended, NotNowError, command_text
from metta.lab.executors.launcher import BaseLauncher
from metta.lab.executors.local import LocalExecutor

NO_BUCKET = (
    "--launcher skypilot needs --results-root in a bucket that all machines reach, such as s3://bucket/folder; for "
    "this machine give --local."
)

DEFAULTS: Mapping[str, Any] = {
    "accelerators": {"L4": 1, "A10G": 1, "T4": 1, "A100": 1},
    "use_spot": True,
    # The controller counts failed attempts itself; pre-emptions are no failures and are always recovered from.
    "job_recovery": {"strategy": "EAGER_NEXT_REGION", "max_restarts_on_errors": 0},
}
"""One GPU of a small kind, spot machines, and another region where the last one has none left."""
GROUPS = {"s3": "s3"}
"""Dependency groups that a machine needs to reach a bucket."""
UV = 'export PATH="$HOME/.local/bin:$PATH"'
SETUP = "command -v uv >/dev/null || python3 -m pip install --user --quiet uv==0.13.0"

WAITING = {"PENDING", "SUBMITTED", "STARTING", "RECOVERING"}
WORKING = {"RUNNING", "WINDING_DOWN", "CANCELLING"}
ENDINGS = {
    "CANCELLED": "it was cancelled",
    "FAILED_SETUP": "its setup failed",
    "FAILED_NO_RESOURCE": "no machine with these resources was to be had (--resource)",
    "FAILED_CONTROLLER": "SkyPilot's own controller failed",
}
PERMANENT = {"FAILED_PRECHECKS": "no enabled infrastructure has these resources (--resource)"}

SECONDS_BETWEEN_QUESTIONS = 20.0
QUESTIONS = 10
"""How often the server is asked for what an earlier controller left, before that is given up."""
SECONDS_TO_STOP = 120.0
SECONDS_UNTIL_LOST = 300.0
SUBMISSIONS = 4
"""Jobs that are submitted at the same time; SkyPilot answers after minutes when its controller must be started."""


def check_available() -> None:
    """Raise `InputError` saying what to install if SkyPilot is missing."""
    if importlib.util.find_spec("sky") is None:
        raise InputError(
            "--launcher skypilot, the default, needs the package skypilot: run `uv sync --group skypilot`, or give "
            "--local to use this machine."
        )


def library() -> Any:
    """SkyPilot's SDK; it reports its use to its makers only if the environment says so."""
    check_available()
    os.environ.setdefault("SKYPILOT_DISABLE_USAGE_COLLECTION", "1")
    import sky

    return sky


def task_record(command: Command, address: str, cpus: int, resources: Mapping[str, Any]) -> dict[str, Any]:
    """A command as a SkyPilot task: machine, files to bring there, setup and what to run.

    Args:
        command: what to run.
        address: the experiment's place in a bucket, where the command leaves its results.
        cpus: processor cores, at least.
        resources: entries of the task's `resources`; null leaves one out.
    """
    chosen = {"cpus": f"{cpus}+", **DEFAULTS, **resources}
    group = GROUPS.get(address.partition("://")[0].lower())
    return {
        "name": job_name(command.name, address),
        "resources": {name: value for name, value in chosen.items() if value is not None},
        "workdir": str(REPOSITORY),
        "setup": f"{UV}\n{SETUP}\nuv sync{f' --group {group}' if group else ''}\n",
        "run": f"{UV}\n{command_text(command.words)}\n",
    }


def job_name(name: str, address: str) -> str:
    """What SkyPilot knows a command as: its name, as far as allowed, and a mark of the bucket."""
    mark = hashlib.sha256(f"{address} {name}".encode()).hexdigest()[:8]
    return "-".join([*re.findall(r"[a-zA-Z0-9]+", name), mark])


def as_yaml(record: Mapping[str, Any]) -> str:
    """A task as YAML, which SkyPilot has read and found valid.

    Raises:
        InputError: SkyPilot is missing, or refuses the task.
    """
    sky = library()
    import yaml

    text = str(yaml.safe_dump(dict(record), sort_keys=False, width=10_000))
    try:
        sky.Task.from_yaml_config(yaml.safe_load(text))
    except Exception as error:
        raise InputError(f"SkyPilot refuses the task: {_line(error)}") from error
    return text


@dataclass
class _Job:
    command: Command
    submission: "Future[int]"
    seen_at: float
    queued: bool = True
    ending: bool = False
    cancelled: bool = False


class SkyPilotExecutor:
    """Submits commands as managed jobs."""

    def __init__(self, slots: int, address: str, cpus: int, resources: Mapping[str, Any]) -> None:
        """Prepare to submit jobs.

        Args:
            slots: managed jobs at once.
            address: the experiment's place in a bucket.
            cpus: processor cores per job, at least.
            resources: as for `task_record`.

        Raises:
            InputError: SkyPilot is missing, its server does not answer, or no infrastructure is enabled.
        """
        self._sky = library()
        self._slots = slots
        self._address = address
        self._cpus = cpus
        self._resources = dict(resources)
        self._near = LocalExecutor(1)
        self._jobs: dict[str, _Job] = {}
        self._asked_at = float("-inf")
        self._warned = False
        self._doubtful: set[str] = set()
        """Names of commands of which it is not known whether their submission succeeded."""
        self._pool = ThreadPoolExecutor(SUBMISSIONS, thread_name_prefix="skypilot")
        try:
            enabled = self._sky.get(self._sky.client.sdk.enabled_clouds())
        except Exception as error:
            raise InputError(f"SkyPilot's server cannot be asked (see `sky api info`): {_line(error)}") from error
        if not enabled:
            raise InputError("no infrastructure is enabled in SkyPilot; see `sky check`.")

    @property
    def slots(self) -> int:
        """Managed jobs at once."""
        return self._slots

    def adopt(self, commands: Sequence[Command]) -> list[str]:
        """Take over the jobs that an earlier controller of this experiment left.

        Raises `NotNowError` if the server does not answer.
        """
        far = [command for command in commands if not command.near]
        waiting = {job_name(command.name, self._address): command for command in far}
        for _ in range(QUESTIONS):
            try:
                records = self._records()
                break
            except Exception as error:
                fault = error
                time.sleep(SECONDS_BETWEEN_QUESTIONS)
        else:
            raise NotNowError(f"SkyPilot's server does not say which jobs there are: {_line(fault)}") from fault
        found = []
        for record in records:
            command = waiting.get(record.job_name)
            state = record.status.value
            if command is not None and state in WAITING | WORKING and command.name not in self._jobs:
                known: Future[int] = Future()
                known.set_result(record.job_id)
                self._jobs[command.name] = _Job(command, known, time.monotonic(), state in WAITING)
                found.append(command.name)
        return found

    def start(self, command: Command) -> None:
        """Begin to submit a job; `poll` tells if it is refused.

        Raises:
            InputError: the task is not valid.
            NotNowError: the server does not answer.
        """
        if command.near:
            self._near.start(command)
            return
        if command.name in self._doubtful:
            if self.adopt([command]):
                return
            self._doubtful.discard(command.name)
        record = task_record(command, self._address, self._cpus, self._resources)
        try:
            task = self._sky.Task.from_yaml_config(record)
        except Exception as error:
            raise InputError(f"SkyPilot refuses the task: {_line(error)}") from error
        key = os.environ.get("WANDB_API_KEY")
        if key and any(word == "wandb=online" for word in command.words):
            task.update_secrets({"WANDB_API_KEY": key})
        self._jobs[command.name] = _Job(command, self._pool.submit(self._submit, task), time.monotonic())

    def queued(self) -> list[str]:
        """Names of the jobs that wait for a machine, or are being moved to another."""
        return [name for name, job in self._jobs.items() if job.queued]

    def poll(self) -> list[Ended]:
        """The jobs that have ended since the last call; SkyPilot is asked now and then."""
        ended = list(self._near.poll())
        ended += [end for name in list(self._jobs) if (end := self._refused(name)) is not None]
        submitted = any(job.submission.done() for job in self._jobs.values())
        if not submitted or time.monotonic() - self._asked_at < SECONDS_BETWEEN_QUESTIONS:
            return ended
        try:
            records = {record.job_id: record for record in self._records()}
        except Exception as error:
            # An error of the server or of the network says nothing about the jobs.
            self._warn(error)
            return ended
        finally:
            self._asked_at = time.monotonic()
        for name, job in list(self._jobs.items()):
            if job.submission.done():
                end = self._end_of(job, records.get(job.submission.result()))
                if end is not None:
                    del self._jobs[name]
                    ended.append(end)
        self._warned = self._warned and any(job.ending and not job.cancelled for job in self._jobs.values())
        return ended

    def end(self, name: str) -> None:
        """Ask for a job to be cancelled; `poll` asks again until it is, and reports it."""
        if name not in self._jobs:
            self._near.end(name)
            return
        self._jobs[name].ending = True
        self._asked_at = float("-inf")

    def close(self) -> None:
        """Cancel all jobs and wait until SkyPilot says that they have ended; says of which it has not."""
        try:
            self._near.close()
        finally:
            self._close_far()  # also after a second Ctrl-C: what is far away is paid for

    def _close_far(self) -> None:
        deadline = time.monotonic() + SECONDS_TO_STOP
        for job in self._jobs.values():
            job.ending = True
            job.submission.cancel()
        while self._jobs and time.monotonic() < deadline:
            self._asked_at = float("-inf")
            self.poll()
            time.sleep(min(1.0, SECONDS_BETWEEN_QUESTIONS))
        if self._jobs:
            left = ", ".join(self._known_as(job) for job in self._jobs.values())
            print(
                f"warning: SkyPilot has not said within {SECONDS_TO_STOP:.0f} seconds that these jobs have ended, and "
                f"they may go on: {left}; see `sky jobs queue`, and cancel them with `sky jobs cancel`.",
                file=sys.stderr,
            )
        self._jobs.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, task: Any) -> int:
        ids, _ = self._sky.get(self._sky.jobs.launch(task))
        return int(ids[0] if isinstance(ids, list) else ids)

    def _refused(self, name: str) -> Ended | None:
        """The end of a job that could not be submitted, or was not any more."""
        job = self._jobs[name]
        if not job.submission.done() or (not job.submission.cancelled() and job.submission.exception() is None):
            return None
        del self._jobs[name]
        if job.submission.cancelled():
            return Ended(job.command, RUN_ERROR, "it was cancelled before SkyPilot had it.")
        error = job.submission.exception()
        if _may_pass(error):
            # Not known: has the server got it? The next start looks before it submits.
            self._doubtful.add(name)
            return Ended(job.command, IN_USE, f"SkyPilot's server does not answer: {_line(error)}")
        return Ended(job.command, INPUT_ERROR, f"SkyPilot refuses the job: {_line(error)}")

    def _end_of(self, job: _Job, record: Any) -> Ended | None:
        """How a submitted job ended, or None while it has not."""
        id = job.submission.result()
        if record is None:
            if time.monotonic() - job.seen_at < SECONDS_UNTIL_LOST:
                return None
            return Ended(job.command, RUN_ERROR, f"SkyPilot does not know job {id} any more.")
        job.seen_at = time.monotonic()
        state = record.status.value
        job.queued = state in WAITING
        if state in WAITING | WORKING:
            if job.ending and not job.cancelled:
                job.cancelled = self._cancel(id)
            return None
        if state == "SUCCEEDED":
            return Ended(job.command, 0)
        said = f" ({_text(record.failure_reason)})" if getattr(record, "failure_reason", None) else ""
        where = f"see `sky jobs logs {id}`."
        if state in PERMANENT:
            return Ended(job.command, INPUT_ERROR, f"SkyPilot job {id}: {PERMANENT[state]}{said}; {where}")
        return Ended(job.command, RUN_ERROR, f"SkyPilot job {id}: {ENDINGS.get(state, 'it failed')}{said}; {where}")

    def _cancel(self, id: int) -> bool:
        """Whether the server has taken the request to cancel a job; if not, the next `poll` asks again."""
        try:
            self._sky.get(self._sky.jobs.cancel(job_ids=[id]))
        except Exception as error:
            self._warn(error)
            return False
        return True

    def _warn(self, error: Exception) -> None:
        """Say once that the server does not answer, until it has answered everything again."""
        if not self._warned:
            print(f"warning: SkyPilot's server does not answer and is asked again: {_line(error)}", file=sys.stderr)
        self._warned = True

    def _known_as(self, job: _Job) -> str:
        """SkyPilot's number for a job, or its name while the answer to its submission is awaited."""
        answer = job.submission
        if answer.done() and not answer.cancelled() and answer.exception() is None:
            return str(answer.result())
        return job_name(job.command.name, self._address)

    def _records(self) -> list[Any]:
        """What SkyPilot knows of this user's managed jobs."""
        fields = ["job_id", "job_name", "status", "failure_reason"]
        answer = self._sky.get(self._sky.jobs.queue_v2(refresh=False, fields=fields))
        return list(answer[0] if isinstance(answer, tuple) else answer)


class Launcher(BaseLauncher):
    """Clouds, Kubernetes and clusters that SkyPilot knows; the reference players play here."""

    silence_seconds = 1800.0  # SkyPilot calls a job running while its machine is still being set up
    elsewhere = True

    def preview(self, commands: Iterable[Command], address: str | None) -> list[str]:
        """The tasks as comments, so that the commands below them stay a script."""
        try:
            check_available()
            if address is None:
                raise InputError(NO_BUCKET)
            resources = self.resources()
            tasks = [as_yaml(task_record(command, address, self.cpus_per_job, resources)) for command in commands]
        except InputError as error:
            return [f"# no SkyPilot tasks: {error}"]
        return [f"#| {line}" for task in tasks for line in ["---", *task.splitlines()]]

    def executor(self, slots: int, output: Path, address: str | None) -> SkyPilotExecutor:
        """Managed jobs. Raises `InputError` if SkyPilot, its server, infrastructure or a bucket is missing."""
        check_available()
        if address is None:
            raise InputError(NO_BUCKET)
        return SkyPilotExecutor(slots, address, self.cpus_per_job, self.resources())


def _may_pass(error: BaseException | None) -> bool:
    """Whether an error is one of the network or of the server, and not of the job."""
    import requests
    from sky import exceptions

    names = ("ApiServerConnectionError", "ServerTemporarilyUnavailableError", "RequestInterruptedError")
    kinds = tuple(getattr(exceptions, name) for name in (*names, "RequestCancelled") if hasattr(exceptions, name))
    server = isinstance(error, RuntimeError) and "Failed to get request" in str(error)
    return server or isinstance(error, (requests.exceptions.RequestException, OSError, *kinds))


def _line(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {_text(str(error))}."


def _text(said: str) -> str:
    """The first line, without colours."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said).strip()
    return (plain.splitlines() or ["no reason was given"])[0].rstrip(".")
