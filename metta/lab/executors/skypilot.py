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
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metta.base.endings import IN_USE, INPUT_ERROR, RUN_ERROR
from metta.base.errors import InputError
from metta.base.provenance import REPOSITORY
from metta.lab.executors.contract import Command, Ended, UnavailableError, command_text
from metta.lab.executors.launcher import BaseLauncher
from metta.lab.executors.local import LocalExecutor
from metta.lab.executors.remote import Job, Listed, RemoteExecutor

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

ENDINGS = {
    "CANCELLED": "it was cancelled",
    "FAILED_SETUP": "its setup failed",
    "FAILED_NO_RESOURCE": "no machine with these resources was available (--resource)",
    "FAILED_CONTROLLER": "SkyPilot's own controller failed",
}
PERMANENT = {"FAILED_PRECHECKS": "no enabled infrastructure has these resources (--resource)"}

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
class _Submitted(Job):
    """A job whose submission goes on in a thread: SkyPilot takes minutes where it has to start its controller."""

    submission: "Future[int]" = field(default_factory=Future)


class SkyPilotExecutor(RemoteExecutor):
    """Submits commands as managed jobs; those that are to be near run on this machine."""

    waiting = ("PENDING", "SUBMITTED", "STARTING", "RECOVERING")
    working = ("RUNNING", "WINDING_DOWN", "CANCELLING")
    seconds_between_questions = 20.0
    questions = 10
    seconds_to_stop = 120.0
    seconds_until_lost = 300.0

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
        super().__init__(slots)
        self._sky = library()
        self._address = address
        self._cpus = cpus
        self._resources = dict(resources)
        self._near = LocalExecutor(1)
        self._warned = False
        self._pool = ThreadPoolExecutor(SUBMISSIONS, thread_name_prefix="skypilot")
        try:
            enabled = self._sky.get(self._sky.client.sdk.enabled_clouds())
        except Exception as error:
            raise InputError(f"SkyPilot's server cannot be asked (see `sky api info`): {_line(error)}") from error
        if not enabled:
            raise InputError("no infrastructure is enabled in SkyPilot; see `sky check`.")

    def adopt(self, commands: Sequence[Command]) -> list[str]:
        return super().adopt([command for command in commands if not command.near])

    def start(self, command: Command) -> None:
        if command.near:
            self._near.start(command)
        else:
            super().start(command)

    def poll(self) -> list[Ended]:
        ended = self._near.poll()
        for job in list(self._jobs.values()):
            if isinstance(job, _Submitted) and job.id is None and job.submission.done():
                refusal = self._refusal(job)
                if refusal is None:
                    job.id = str(job.submission.result())
                else:
                    del self._jobs[job.command.name]
                    ended.append(refusal)
        return ended + super().poll()

    def end(self, name: str) -> None:
        if name in self._jobs:
            super().end(name)
        else:
            self._near.end(name)

    def close(self) -> None:
        try:
            self._near.close()
        finally:  # also after a second Ctrl-C: what is far away is paid for
            self._pool.shutdown(wait=False, cancel_futures=True)
            super().close()

    def _name_of(self, command: Command) -> str:
        return job_name(command.name, self._address)

    def _submit(self, command: Command) -> Job:
        record = task_record(command, self._address, self._cpus, self._resources)
        try:
            task = self._sky.Task.from_yaml_config(record)
        except Exception as error:
            raise InputError(f"SkyPilot refuses the task: {_line(error)}") from error
        key = os.environ.get("WANDB_API_KEY")
        if key and any(word == "wandb=online" for word in command.words):
            task.update_secrets({"WANDB_API_KEY": key})
        return _Submitted(command, None, time.monotonic(), submission=self._pool.submit(self._launch, task))

    def _launch(self, task: Any) -> int:
        ids, _ = self._sky.get(self._sky.jobs.launch(task))
        return int(ids[0] if isinstance(ids, list) else ids)

    def _refusal(self, job: _Submitted) -> Ended | None:
        """The end of a job that could not be submitted, or was not any more; None if it was."""
        if job.submission.cancelled():
            return Ended(job.command, RUN_ERROR, "it was cancelled before SkyPilot had it.")
        error = job.submission.exception()
        if error is None:
            return None
        if _may_pass(error):
            # Not known: has the server got it? The next start looks before it submits.
            self._doubtful.add(job.command.name)
            return Ended(job.command, IN_USE, f"SkyPilot's server does not answer: {_line(error)}")
        return Ended(job.command, INPUT_ERROR, f"SkyPilot refuses the job: {_line(error)}")

    def _listed(self) -> dict[str, Listed]:
        fields = ["job_id", "job_name", "status", "failure_reason"]
        answer = self._answer(lambda: self._sky.jobs.queue_v2(refresh=False, fields=fields))
        self._warned = False  # everything was answered again
        records = answer[0] if isinstance(answer, tuple) else answer
        listed = [Listed(str(r.job_id), r.job_name, r.status.value, r.failure_reason or "") for r in records]
        return {job.id: job for job in listed}

    def _cancel(self, ids: Sequence[str]) -> None:
        self._answer(lambda: self._sky.jobs.cancel(job_ids=[int(id) for id in ids]))

    def _answer(self, ask: Callable[[], Any]) -> Any:
        """What the server says; an error of it, or of the network, says nothing about the jobs and is said once."""
        try:
            return self._sky.get(ask())
        except Exception as error:
            said = _line(error)
            if not self._warned:
                print(f"warning: SkyPilot's server does not answer and is asked again: {said}", file=sys.stderr)
            self._warned = True
            raise UnavailableError(f"SkyPilot's server does not say which jobs there are: {said}") from error

    def _end_of(self, job: Job, listed: Listed | None) -> Ended | None:
        if listed is None:
            lost = Ended(job.command, RUN_ERROR, f"SkyPilot does not know job {job.id} any more.")
            return lost if self._is_lost(job) else None
        if listed.state == "SUCCEEDED":
            return Ended(job.command, 0)
        never = PERMANENT.get(listed.state)
        why = never or ENDINGS.get(listed.state, "it failed")
        said = f" ({_text(listed.reason)})" if listed.reason else ""
        cause = f"SkyPilot job {job.id}: {why}{said}; see `sky jobs logs {job.id}`."
        return Ended(job.command, INPUT_ERROR if never else RUN_ERROR, cause)

    def _left_over(self, jobs: Sequence[Job]) -> str:
        left = ", ".join(job.id or self._name_of(job.command) for job in jobs)
        return (
            f"SkyPilot has not said that these jobs have ended, and they may go on: {left}; see `sky jobs queue`, and "
            "cancel them with `sky jobs cancel`."
        )


class Launcher(BaseLauncher):
    """Clouds, Kubernetes and clusters that SkyPilot knows; the reference players play here."""

    silence_seconds = 1800.0  # SkyPilot calls a job running while its machine is still being set up
    elsewhere = True

    def preview(self, commands: Iterable[Command], address: str | None) -> list[str]:
        """The tasks as comments, so that the commands below them stay a script."""
        try:
            place, resources = _bucket(address), self.resources()
            tasks = [as_yaml(task_record(command, place, self.cpus_per_job, resources)) for command in commands]
        except InputError as error:
            return [f"# no SkyPilot tasks: {error}"]
        return [f"#| {line}" for task in tasks for line in ["---", *task.splitlines()]]

    def executor(self, slots: int, output: Path, address: str | None) -> SkyPilotExecutor:
        """Managed jobs. Raises `InputError` if SkyPilot, its server, infrastructure or a bucket is missing."""
        return SkyPilotExecutor(slots, _bucket(address), self.cpus_per_job, self.resources())


def _bucket(address: str | None) -> str:
    """The address, if jobs can do anything with it. Raises `InputError`."""
    check_available()
    if address is None:
        raise InputError(
            "--launcher skypilot needs --results-root in a bucket that all machines reach, such as s3://bucket/folder; "
            "for this machine give --local."
        )
    return address


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
