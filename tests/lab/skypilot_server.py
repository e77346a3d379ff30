"""A stand-in for SkyPilot's API server on loopback: answers the SDK's own requests and runs the jobs in this process.

It decodes and encodes with the library's own classes. A job moves on by one state each time it is asked about.
"""

import json
import shlex
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

from metta.base.errors import InputError, RunError
from metta.cli.main import resolve

NEXT = {"PENDING": "STARTING", "STARTING": "RUNNING", "RECOVERING": "RUNNING", "CANCELLING": "CANCELLED"}


@dataclass
class Job:
    """A managed job."""

    id: int
    record: dict[str, Any]
    state: str = "PENDING"

    @property
    def words(self) -> list[str]:
        """What tools/run.py gets."""
        return shlex.split(self.record["run"].splitlines()[-1])[3:]


@dataclass
class Server:
    """What was asked, the jobs, and what goes wrong."""

    clouds: list[str] = field(default_factory=lambda: ["Kubernetes"])
    jobs: list[Job] = field(default_factory=list)
    ends: Callable[[Job], str | None] = lambda job: None
    """The state in which a job ends instead of being run, or None."""
    holds: Callable[[Job], bool] = lambda job: False
    """Whether a job goes on running for now."""
    breaks: Callable[[str], str | None] = lambda path: None
    """How a request goes wrong: `before` or `after` it was done, or None."""
    answers: dict[str, tuple[str, Any, Any]] = field(default_factory=dict)
    url: str = ""
    uploads: int = 0
    """How often files were offered."""

    def __post_init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._answer(self, None)

            def do_POST(self) -> None:
                outer._answer(self, json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}"))

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End the server."""
        self._http.shutdown()
        self._http.server_close()

    def _answer(self, request: BaseHTTPRequestHandler, body: dict[str, Any] | None) -> None:
        path = request.path.partition("?")[0]
        fault = self.breaks(path)
        if fault == "before":
            request.send_error(500)
            return
        if path == "/api/health":
            self._say(request, self._health())
        elif path == "/upload_v2/blob":
            self.uploads += 1
            self._say(request, {"exists": True})
        elif path == "/api/get":
            self._say(request, self._result(request.path.partition("request_id=")[2]))
        else:
            number = str(uuid.uuid4())
            self.answers[number] = self._do(path, body or {})
            if fault == "after":
                request.send_error(500)
            else:
                self._say(request, None, {"X-Skypilot-Request-ID": number})

    def _say(self, request: BaseHTTPRequestHandler, value: Any, headers: dict[str, str] | None = None) -> None:
        import sky
        from sky.server import constants

        data = json.dumps(value).encode()
        version = {
            constants.API_VERSION_HEADER: str(constants.API_VERSION),
            constants.VERSION_HEADER: sky.__version__,
        }
        request.send_response(200)
        for name, text in {"Content-Length": str(len(data)), **version, **(headers or {})}.items():
            request.send_header(name, text)
        request.end_headers()
        request.wfile.write(data)

    def _health(self) -> dict[str, Any]:
        import sky
        from sky.server import constants

        version = {"api_version": str(constants.API_VERSION), "version": sky.__version__, "commit": sky.__commit__}
        return {"status": "healthy", "version_on_disk": sky.__version__, **version}

    def _do(self, path: str, body: dict[str, Any]) -> tuple[str, Any, Any]:
        from sky.server.requests import payloads

        if path == "/enabled_clouds":
            return "enabled_clouds", self.clouds, payloads.RequestBody()
        if path == "/validate":
            return "validate", None, payloads.RequestBody()
        if path == "/jobs/launch":
            (record,) = [each for each in yaml.safe_load_all(body["task"]) if each and "run" in each]
            self.jobs.append(Job(len(self.jobs) + 1, record))
            return "jobs.launch", ([self.jobs[-1].id], None), payloads.JobsLaunchBody(task="", name=None)
        if path == "/jobs/cancel":
            for job in self.jobs:
                if job.id in body["job_ids"]:
                    job.state = "CANCELLING"
            return "jobs.cancel", None, payloads.JobsCancelBody()
        assert path == "/jobs/queue/v2", path
        for job in self.jobs:
            self._advance(job)
        return "jobs.queue_v2", [self._row(job) for job in self.jobs], payloads.JobsQueueV2Body()

    def _advance(self, job: Job) -> None:
        if job.state != "RUNNING":
            job.state = NEXT.get(job.state, job.state)
        elif not self.holds(job):
            job.state = self.ends(job) or self._run(job)

    def _run(self, job: Job) -> str:
        try:
            return "SUCCEEDED" if resolve(job.words).execute() == 0 else "FAILED"
        except (InputError, RunError):
            return "FAILED"

    def _row(self, job: Job) -> Any:
        from sky.jobs.state import ManagedJobStatus
        from sky.schemas.api.responses import ManagedJobRecord

        return ManagedJobRecord(job_id=job.id, job_name=job.record["name"], status=ManagedJobStatus(job.state))

    def _result(self, number: str) -> Any:
        from sky.server import constants
        from sky.server.requests import requests

        name, value, body = self.answers[number]
        status = requests.RequestStatus.SUCCEEDED
        done = requests.Request(
            number, constants.REQUEST_NAME_PREFIX + name, _nothing, body, status, time.time(), "user"
        )
        done.set_return_value(value)
        return done.encode().model_dump()


def _nothing() -> None:
    """Stands for the server's own function."""
