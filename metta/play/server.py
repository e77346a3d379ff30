"""The page and its world behind one secret address on this machine.

Only 127.0.0.1 is listened on. Whoever does not know the random token in the address is told that nothing is there, and
requests that another site's page could make in a browser (another Host or Origin) are refused.
"""

import hmac
import json
import re
import secrets
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from metta.base.errors import InputError, RunError
from metta.play.table import Table

ADDRESS = "127.0.0.1"
LARGEST_REQUEST = 4096
"""Bytes of a request's body."""
SECONDS_TO_ASK = 2.0
"""How long a connection may say nothing; browsers open some in advance."""


NOTHING = (
    '<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>Nothing here</title>'
    "<h1>There is no game at this address</h1><p>Open the whole address that <code>play</code> printed; every start of "
    "the command has another one.</p></html>"
)
"""What a browser is shown that does not know the token, or an old one."""


class _StaleError(InputError):
    """The page has not seen what another one did."""


class PlayServer(ThreadingHTTPServer):
    """Serves one table; `url` is its address."""

    daemon_threads = False
    """Closing waits for answers on their way: a thread that Python's end cuts off can abort the process."""

    def __init__(self, table: Table, page: str, port: int) -> None:
        """Listen.

        Args:
            table: the world.
            page: the HTML page that shows it.
            port: 0 takes a free one.

        Raises:
            InputError: the port is taken or not allowed.
        """
        self.table, self.page = table, page.encode()
        self.token = secrets.token_urlsafe(24)
        self.lock = threading.Lock()
        try:
            super().__init__((ADDRESS, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"port={port} cannot be listened on: {reason.lower()}; port=0 takes a free one.") from None
        self.hosts = {f"{ADDRESS}:{self.server_port}", f"localhost:{self.server_port}"}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that has gone away; everything else is a fault of ours and is shown."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """The page's address, token included."""
        return f"http://{ADDRESS}:{self.server_port}/{self.token}/"


class _Handler(BaseHTTPRequestHandler):
    """GET the page and the episode so far, POST a step or another episode."""

    server: PlayServer
    timeout = SECONDS_TO_ASK
    server_version = "metta-play"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer with the page, the episode, or its rows from a number on."""
        wanted = self._wanted()
        if wanted == "":
            self._answer(HTTPStatus.OK, self.server.page, "text/html; charset=utf-8")
        elif wanted == "episode":
            with self.server.lock:
                self._json(HTTPStatus.OK, {"head": self.server.table.head, **_since(self.server.table, 0)})
        elif wanted is not None and (found := re.fullmatch(r"since/(\d{1,9})", wanted)):
            with self.server.lock:
                self._json(HTTPStatus.OK, _since(self.server.table, int(found[1])))
        elif wanted is not None:
            self._nothing()

    def do_POST(self) -> None:
        """Do a step, or begin another episode."""
        wanted = self._wanted()
        if wanted is None:
            return
        if wanted not in ("step", "restart"):
            self._nothing()
            return
        if self.headers.get("Origin") not in (None, *(f"http://{host}" for host in self.server.hosts)):
            self._refuse(HTTPStatus.FORBIDDEN, "only the page itself may play.")
            return
        try:
            asked = self._asked()
            with self.server.lock:
                answer = _step(self.server.table, asked) if wanted == "step" else _restart(self.server.table, asked)
            self._json(HTTPStatus.OK, answer)
        except _StaleError as error:
            self._refuse(HTTPStatus.CONFLICT, str(error))
        except InputError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except RunError as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))

    def _wanted(self) -> str | None:
        """The path after the token; None after a refusal, if the token is wrong."""
        _, token, *rest = [*self.path.partition("?")[0].split("/"), ""]
        known = hmac.compare_digest(token.encode(), self.server.token.encode())
        if not known or self.headers.get("Host") not in self.server.hosts:
            self._nothing()
            return None
        return "/".join(rest).rstrip("/")

    def _asked(self) -> dict[str, Any]:
        """The request's JSON object. Raises `InputError`."""
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Content-Type") != "application/json" or not length.isdecimal():
            raise InputError("a request must be JSON with its length.")
        if int(length) > LARGEST_REQUEST:
            raise InputError(f"a request has at most {LARGEST_REQUEST} bytes.")
        try:
            asked = json.loads(self.rfile.read(int(length)))
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            raise InputError("a request must be a JSON object.")
        return asked

    def _nothing(self) -> None:
        if "text/html" in self.headers.get("Accept", ""):
            self.close_connection = True
            self._answer(HTTPStatus.NOT_FOUND, NOTHING.encode(), "text/html; charset=utf-8")
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here.")

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self.close_connection = True  # what is left of the request is not read
        self._json(status, {"error": why})

    def _json(self, status: HTTPStatus, value: dict[str, Any]) -> None:
        self._answer(status, json.dumps(value, allow_nan=False).encode(), "application/json")

    def _answer(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: requests carry the token."""


def _since(table: Table, first: int) -> dict[str, Any]:
    """The rows of the game from number `first` on."""
    return {"game": table.games, "rows": table.rows[first:], "ended": table.ended}


def _step(table: Table, asked: dict[str, Any]) -> dict[str, Any]:
    """One step, if the page has seen the newest row; what came of that row, and the next one."""
    seen = len(table.rows) - 1
    if asked.get("game") != table.games or asked.get("step") != seen:
        raise _StaleError(f"another page has played on; the world is at step {seen}.")
    steered = asked.get("steered", {})
    if not isinstance(steered, dict) or not all(
        agent.isdecimal() and type(action) is int for agent, action in steered.items()
    ):
        raise InputError("'steered' must map agents to numbers of actions.")
    table.step({int(agent): action for agent, action in steered.items()})
    done = table.rows[seen]
    return {
        "done": {"agents": done["agents"], "rewards": done["rewards"]},
        "row": None if table.ended else table.rows[-1],
    }


def _restart(table: Table, asked: dict[str, Any]) -> dict[str, Any]:
    episode = asked.get("episode")
    if type(episode) is not int:
        raise InputError("'episode' must be a whole number.")
    table.restart(episode)
    return {"episode": episode}
