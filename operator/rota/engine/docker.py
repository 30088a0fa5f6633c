"""The Docker adapter: Docker Engine's API behind the port. SDK values and exceptions stop here.

What changes something goes through the SDK, a client per calling thread, made when it is first needed; what
asks goes over `Wire`. Containers are read from the list alone: it carries state, health and ports.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import docker
import docker.errors
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.tls import TLSConfig

from rota.clock import SystemClock
from rota.core.container import Check
from rota.core.observed import EngineFacts
from rota.core.planning.actions import StartInstance
from rota.engine import outside_check
from rota.engine.docker_body import ALWAYS, NEVER, container_body
from rota.engine.docker_client import BoundedClient
from rota.engine.docker_http import Answer, Request
from rota.engine.docker_output import EVENTS, DockerCommand, DockerOutput, DockerStream, last_lines, unframed
from rota.engine.docker_rows import by_name, dotted, image_reference, listed, numbers, repository_of
from rota.engine.docker_troubles import CLOSED, from_sdk, meaning
from rota.engine.docker_wire import Stream, Wire
from rota.engine.labels import FLEET
from rota.engine.port import CommandOutput, EngineError, EventStream, ListedContainer, OutputStream, Trouble
from rota.engine.registry_logins import RegistryLogins

CALL_SECONDS = 10.0
"""No call lasts longer, pulls excepted."""
PING_SECONDS = 1.0
"""A ping is answered within this time, or the host is knocked at; after as long again it is silent."""
PULL_SECONDS = 600.0
EXIT_SECONDS = 5.0
"""An Engine knows how a command ended soon after its output has ended."""
OLDEST_API = (1, 40)
"""Docker Engine 19.03, the first that speaks everything Rota asks."""
_ABSENT = (Trouble.NOT_FOUND, Trouble.NO_IMAGE)
_clock = SystemClock()


class DockerEngine:
    """One Docker Engine at `tcp://host:port` or `unix:///path`."""

    def __init__(
        self,
        endpoint: str,
        certificate: Callable[[], TLSConfig | None] = lambda: None,
        logins: RegistryLogins | None = None,
        *,
        seconds: float = CALL_SECONDS,
        ping_seconds: float = PING_SECONDS,
        pull_seconds: float = PULL_SECONDS,
    ) -> None:
        """`certificate` may raise `EngineError` where there is none, and is then asked again; its files are
        read for each connection, so that a renewed one is picked up. `seconds` bound each call as a whole,
        `ping_seconds` a ping, `pull_seconds` a pull. `logins` say who pulls."""
        self._endpoint = endpoint
        self._certificate = certificate
        self._logins = logins or RegistryLogins()
        self._seconds = seconds
        self._ping_seconds = min(seconds, ping_seconds)
        self._pull_seconds = pull_seconds
        self._wire = Wire(endpoint, certificate, patience=self._ping_seconds)
        self._local = threading.local()
        self._clients: set[BoundedClient] = set()
        self._closed = False
        self._lock = threading.Lock()
        self._version: str | None = None
        self._last_list: tuple[str, bytes, tuple[ListedContainer, ...]] = ("", b"", ())

    def facts(self) -> EngineFacts:
        pong = self._ping()
        self._version = _common_version(pong)
        with meaning(Trouble.HUNG):
            info = self._get("/info").json()
            return EngineFacts(
                id=str(info["ID"]),
                api_version=pong.headers["api-version"],
                version=str(info["ServerVersion"]),
                cpu=int(info["NCPU"]) * 1000,
                memory=int(info["MemTotal"]),
            )

    def ping(self) -> None:
        pong = self._ping()
        if self._version is None:
            self._version = _common_version(pong)

    def containers(self, fleet: str) -> tuple[ListedContainer, ...]:
        answer = self._list({"label": [f"{FLEET}={fleet}"]})
        mark = hashlib.blake2b(answer.body, digest_size=16).digest()
        of, before, rows = self._last_list
        if (of, before) != (fleet, mark):  # to read it is most of the work, and mostly nothing changed
            rows = _rows(answer)
            self._last_list = (fleet, mark, rows)
        return rows

    def find(self, name: str) -> ListedContainer | None:
        return next(iter(_rows(self._list({"name": [by_name(name)]}))), None)

    def has_image(self, image: str) -> bool:
        return self.image_reference(image) is not None

    def image_reference(self, image: str) -> str | None:
        try:
            answer = self._get(f"/images/{_quoted(image)}/json")
        except EngineError as error:
            if error.trouble in _ABSENT:
                return None
            raise
        with meaning(Trouble.HUNG):
            return image_reference(image, answer.json())

    def registry_reference(self, image: str) -> str:
        try:
            login = self._logins.header_of(image)
            answer = self._get(f"/distribution/{_quoted(image)}/json", headers=login)
            with meaning(Trouble.HUNG):
                return f"{repository_of(image)}@{answer.json()['Descriptor']['digest']}"
        except EngineError as error:
            raise self._registry_error(f"digest of {image}", image, error) from error

    def pull(self, image: str) -> None:
        """The deadline holds for the whole pull, not for each read of its progress."""
        try:
            login = self._logins.of(image)
            with self._own_client() as client, from_sdk(Trouble.HUNG, self._pull_seconds):
                client.begin(self._pull_seconds)
                for line in client.pull(image, stream=True, decode=True, auth_config=login):
                    if "error" in line:
                        raise EngineError(Trouble.REJECTED, str(line["error"]))
        except EngineError as error:
            if error.trouble is Trouble.HUNG and self._wire.silence(0).trouble is Trouble.SILENT:
                error.trouble = Trouble.SILENT
            raise self._registry_error(f"pull of {image}", image, error) from error

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        with self._changing() as client:
            client.create_volume(name, labels=dict(labels))

    def create(self, action: StartInstance) -> str:
        with self._changing() as client:
            made = client.create_container_from_config(  # type: ignore[no-untyped-call]
                container_body(action), action.name
            )
            return str(made["Id"])

    def start(self, container_id: str) -> None:
        with self._changing() as client:
            client.start(container_id)

    def set_restarts(self, container_id: str, *, restarts: bool) -> None:
        with self._changing() as client:
            policy: Any = ALWAYS if restarts else NEVER
            client.update_container(container_id, restart_policy=policy)

    def signal(self, container_id: str, signal: str) -> None:
        with self._changing() as client:
            client.kill(container_id, signal)

    def remove(self, container_id: str) -> None:
        with self._changing() as client:
            client.remove_container(container_id)

    def last_words(self, container_id: str, lines: int) -> tuple[str, ...]:
        terminal = self._is_terminal(container_id)
        said = self._get(_logs_path(container_id, lines, follow=False)).body
        return last_lines(said if terminal else b"".join(unframed(iter([said]))), lines)

    def check(self, address: str, port: int, check: Check) -> None:
        outside_check.look(address, port, check)

    def clock(self) -> datetime:
        with meaning(Trouble.HUNG):
            return datetime.fromisoformat(self._get("/info").json()["SystemTime"])

    def logs(self, container_id: str, *, lines: int, follow: bool) -> OutputStream:
        terminal = self._is_terminal(container_id)
        stream = self._stream(Request(path=_logs_path(container_id, lines, follow=follow)))
        return DockerOutput(stream, is_terminal=terminal)

    def run(self, container_id: str, command: tuple[str, ...]) -> CommandOutput:
        wanted = {"AttachStdout": True, "AttachStderr": True, "Cmd": list(command)}
        path = f"/containers/{_quoted(container_id)}/exec"
        with meaning(Trouble.HUNG):
            made = self._ask(Request(method="POST", path=path, body=wanted)).json()["Id"]
        path, attached = f"/exec/{_quoted(made)}/start", {"Detach": False, "Tty": False}
        try:
            stream = self._stream(Request(method="POST", path=path, body=attached))
        except EngineError as error:
            if error.trouble in (Trouble.SILENT, Trouble.HUNG):
                raise EngineError(Trouble.LOST, f"{error}; the command may have begun") from error
            raise
        return DockerCommand(stream, lambda: self._exit_code(made))

    def events(self, fleet: str) -> EventStream:
        filters = {"label": [f"{FLEET}={fleet}"], "type": ["container"], "event": EVENTS}
        return DockerStream(self._stream(Request(path=f"/events?{_query(filters=filters)}")))

    def close(self) -> None:
        """End every call that is under way, and all connections."""
        self._wire.close()
        with self._lock:
            self._closed = True
            clients, self._clients = self._clients, set()
        for client in clients:
            client.close()

    # --- over the wire

    def _ping(self) -> Answer:
        return self._wire.ask(Request(path="/_ping"), self._ping_seconds)

    def _get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self._ask(Request(path=path, headers=headers or {}))

    def _ask(self, request: Request) -> Answer:
        return self._wire.ask(self._versioned(request), self._seconds)

    def _stream(self, request: Request) -> Stream:
        return self._wire.stream(self._versioned(request), self._seconds)

    def _list(self, filters: Mapping[str, list[str]]) -> Answer:
        return self._get(f"/containers/json?{_query(all='1', filters=filters)}")

    def _versioned(self, request: Request) -> Request:
        path = f"/v{self._spoken()}{request.path}"
        return Request(path=path, method=request.method, headers=request.headers, body=request.body)

    def _spoken(self) -> str:
        """The newest API that both sides know; found out the first time."""
        version = self._version
        if version is None:
            version = self._version = _common_version(self._ping())
        return version

    def _is_terminal(self, container_id: str) -> bool:
        with meaning(Trouble.HUNG):
            return bool(self._get(f"/containers/{_quoted(container_id)}/json").json()["Config"]["Tty"])

    def _exit_code(self, execution: str) -> int:
        until = _clock.now().mono + EXIT_SECONDS
        pause = threading.Event()
        while _clock.now().mono < until:
            with meaning(Trouble.HUNG):
                state = self._get(f"/exec/{_quoted(execution)}/json").json()
                if not state["Running"]:
                    return int(state["ExitCode"])
            pause.wait(0.05)
        raise EngineError(Trouble.REJECTED, f"the command goes on {EXIT_SECONDS:g}s after its output ended")

    def _registry_error(self, what: str, image: str, error: EngineError) -> EngineError:
        """A registry that is silent is no Engine that hangs; what it lacks is no missing container."""
        told = error.trouble in (*_ABSENT, Trouble.HUNG)
        trouble = Trouble.REJECTED if told else error.trouble
        return EngineError(trouble, self._logins.explain(image, f"{what}: {error}"))

    # --- through the SDK

    @contextmanager
    def _changing(self) -> Iterator[BoundedClient]:
        """The client for a call that changes something, unless no connection comes about."""
        version = self._spoken()
        client: BoundedClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self._new_client()
        client.speak(version)
        client.begin(self._seconds)
        with from_sdk(Trouble.LOST, self._seconds):
            yield client

    @contextmanager
    def _own_client(self) -> Iterator[BoundedClient]:
        """A client for one long call, closed after it."""
        version = self._spoken()
        client = self._new_client()
        try:
            client.speak(version)
            yield client
        finally:
            with self._lock:
                self._clients.discard(client)
            client.close()

    def _new_client(self) -> BoundedClient:
        try:
            client = BoundedClient(self._endpoint, self._certificate())
        except (docker.errors.DockerException, OSError, ValueError) as error:
            raise EngineError(Trouble.UNUSABLE, f"{self._endpoint} cannot be used: {error}") from error
        with self._lock:
            if self._closed:
                raise EngineError(Trouble.SILENT, CLOSED)
            self._clients.add(client)
        return client


def _common_version(answer: Answer) -> str:
    """The newest API that both sides know, by what an Engine says of itself."""
    with meaning(Trouble.HUNG):
        spoken = numbers(answer.headers["api-version"])
    if spoken < OLDEST_API:
        raise EngineError(
            Trouble.UNUSABLE,
            f"speaks Docker API {dotted(spoken)}, Rota needs {dotted(OLDEST_API)} or newer; "
            "upgrade its Docker Engine",
        )
    return dotted(min(spoken, numbers(DEFAULT_DOCKER_API_VERSION)))


def _rows(answer: Answer) -> tuple[ListedContainer, ...]:
    with meaning(Trouble.HUNG):
        return tuple(listed(row) for row in answer.json())


def _logs_path(container_id: str, lines: int, *, follow: bool) -> str:
    query = _query(stdout="1", stderr="1", tail=str(lines), follow="1" if follow else "0")
    return f"/containers/{_quoted(container_id)}/logs?{query}"


def _query(**fields: Any) -> str:
    return urlencode({key: one if isinstance(one, str) else json.dumps(one) for key, one in fields.items()})


def _quoted(name: object) -> str:
    return quote(str(name), safe="/:@")
