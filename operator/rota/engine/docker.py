"""The Docker adapter: Docker Engine's API behind the port. SDK values and exceptions stop here.

One low-level client per calling thread.
Containers are read from the list alone: it carries state, health and ports, so nothing is inspected.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any

import docker
import docker.errors
import requests
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.tls import TLSConfig
from urllib3.exceptions import HTTPError

from rota.core.observed import ContainerState, EngineFacts, Health, PublishedPort
from rota.core.planning.actions import StartInstance
from rota.engine.docker_body import container_body
from rota.engine.docker_client import BoundedClient
from rota.engine.labels import FLEET
from rota.engine.port import EngineError, EventStream, ListedContainer, Trouble

CALL_SECONDS = 10
"""No call lasts longer, pulls excepted."""
PULL_SECONDS = 600
OLDEST_API = (1, 40)
"""Docker Engine 19.03, the first that speaks everything Rota asks."""
_TLS_REFUSAL = re.compile("certificate|WRONG_VERSION_NUMBER", re.IGNORECASE)
_STATES = frozenset(str(state) for state in ContainerState)
_HEALTH = {
    "(healthy)": Health.HEALTHY,
    "(unhealthy)": Health.UNHEALTHY,
    "(health: starting)": Health.STARTING,
}


class DockerEngine:
    """One Docker Engine at `tcp://host:port` or `unix:///path`."""

    def __init__(
        self,
        endpoint: str,
        certificate: Callable[[], TLSConfig | None] = lambda: None,
        *,
        seconds: float = CALL_SECONDS,
        pull_seconds: float = PULL_SECONDS,
    ) -> None:
        """`certificate` may raise `EngineError` where there is none, and is then asked again; its files are
        read for each connection, so that a renewed one is picked up. `seconds` bound each call as a whole,
        `pull_seconds` a pull."""
        self._endpoint = endpoint
        self._certificate = certificate
        self._seconds = seconds
        self._pull_seconds = pull_seconds
        self._local = threading.local()
        self._clients: set[BoundedClient] = set()
        self._closed = False
        self._lock = threading.Lock()
        self._version: str | None = None

    def facts(self) -> EngineFacts:
        with self._asking() as client:
            version = self._negotiate(client)
            info = client.info()
            return EngineFacts(
                id=str(info["ID"]),
                api_version=str(version["ApiVersion"]),
                version=str(version["Version"]),
                cpu=int(info["NCPU"]) * 1000,
                memory=int(info["MemTotal"]),
            )

    def ping(self) -> None:
        with self._asking() as client:
            client.ping()

    def containers(self, fleet: str) -> tuple[ListedContainer, ...]:
        with self._asking() as client:
            rows = client.containers(all=True, filters={"label": [f"{FLEET}={fleet}"]})
            return tuple(_listed(row) for row in rows)

    def find(self, name: str) -> ListedContainer | None:
        with self._asking() as client:
            rows = client.containers(all=True, filters={"name": [f"^/{re.escape(name)}$"]})
            return next((_listed(row) for row in rows), None)

    def has_image(self, image: str) -> bool:
        try:
            with self._asking() as client:
                client.inspect_image(image)  # type: ignore[no-untyped-call]
        except EngineError as error:
            if error.trouble in (Trouble.NOT_FOUND, Trouble.NO_IMAGE):
                return False
            raise
        return True

    def pull(self, image: str) -> None:
        """Pull anonymously. The deadline holds for the whole pull, not for each read of its progress."""
        try:
            with self._own_client() as client, _translated(Trouble.SILENT, self._pull_seconds):
                client.begin(self._pull_seconds)
                for line in client.pull(image, stream=True, decode=True, auth_config={}):
                    if "error" in line:
                        raise EngineError(Trouble.REJECTED, str(line["error"]))
        except EngineError as error:
            absent = error.trouble in (Trouble.NOT_FOUND, Trouble.NO_IMAGE)
            trouble = Trouble.REJECTED if absent else error.trouble
            raise EngineError(trouble, f"pull of {image}: {error}") from error

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

    def forbid_restart(self, container_id: str) -> None:
        with self._changing() as client:
            never: Any = {"Name": "no"}
            client.update_container(container_id, restart_policy=never)

    def signal(self, container_id: str, signal: str) -> None:
        with self._changing() as client:
            client.kill(container_id, signal)

    def remove(self, container_id: str) -> None:
        with self._changing() as client:
            client.remove_container(container_id)

    def events(self, fleet: str) -> EventStream:
        client = self._new_client()
        try:
            with _translated(Trouble.SILENT, self._seconds):
                self._prepare(client)
                events, end = client.listen({"label": [f"{FLEET}={fleet}"], "type": ["container"]})
        except EngineError:
            self._release(client)
            raise
        return DockerStream(events, end, lambda: self._release(client))

    def close(self) -> None:
        """End every call that is under way, and all connections."""
        with self._lock:
            self._closed = True
            clients, self._clients = self._clients, set()
        for client in clients:
            client.abort()
            client.close()

    @contextmanager
    def _asking(self) -> Iterator[BoundedClient]:
        """The client for a call that changes nothing."""
        with _translated(Trouble.SILENT, self._seconds):
            yield self._client()

    @contextmanager
    def _changing(self) -> Iterator[BoundedClient]:
        """The client for a call that changes something, unless no connection comes about."""
        with _translated(Trouble.SILENT, self._seconds):
            client = self._client()
        with _translated(Trouble.LOST, self._seconds):
            yield client

    def _client(self) -> BoundedClient:
        """This thread's own, with its deadline begun."""
        client: BoundedClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self._new_client()
        self._prepare(client)
        return client

    @contextmanager
    def _own_client(self) -> Iterator[BoundedClient]:
        """A client for one long call, closed after it."""
        client = self._new_client()
        try:
            with _translated(Trouble.SILENT, self._seconds):
                self._prepare(client)
            yield client
        finally:
            self._release(client)

    def _new_client(self) -> BoundedClient:
        try:
            client = BoundedClient(self._endpoint, self._certificate())
        except (docker.errors.DockerException, OSError, ValueError) as error:
            raise EngineError(Trouble.UNUSABLE, f"{self._endpoint} cannot be used: {error}") from error
        with self._lock:
            if self._closed:
                raise EngineError(Trouble.SILENT, "the connection was closed")
            self._clients.add(client)
        return client

    def _release(self, client: BoundedClient) -> None:
        with self._lock:
            self._clients.discard(client)
        client.close()

    def _prepare(self, client: BoundedClient) -> None:
        """Begin the deadline, and speak the version of this Engine; ask for it the first time."""
        client.begin(self._seconds)
        if self._version is None:
            self._negotiate(client)
        else:
            client.speak(self._version)

    def _negotiate(self, client: BoundedClient) -> Mapping[str, Any]:
        """What the Engine says of its version; from now on the newest that both sides know is spoken."""
        version: Mapping[str, Any] = client.version(api_version=False)
        spoken = _numbers(str(version["ApiVersion"]))
        if spoken < OLDEST_API:
            raise EngineError(
                Trouble.UNUSABLE,
                f"speaks Docker API {_dotted(spoken)}, Rota needs {_dotted(OLDEST_API)} or newer; "
                "upgrade its Docker Engine",
            )
        self._version = _dotted(min(spoken, _numbers(DEFAULT_DOCKER_API_VERSION)))
        client.speak(self._version)
        return version


class DockerStream:
    """The events of one Engine; each is told by its action only. Ends with an `EngineError`."""

    def __init__(
        self, events: Iterator[Mapping[str, Any]], end: Callable[[], None], release: Callable[[], None]
    ) -> None:
        self._events = events
        self._end = end
        self._release = release

    def __iter__(self) -> Iterator[str]:
        try:
            with _translated(Trouble.SILENT, CALL_SECONDS):
                for event in self._events:
                    action = str(event.get("Action", ""))
                    if not action.startswith("exec_"):  # a health check runs two of these each time
                        yield action
            raise EngineError(Trouble.SILENT, "the event stream ended")
        finally:
            self._release()

    def close(self) -> None:
        self._end()
        self._release()


@contextmanager
def _translated(no_answer: Trouble, seconds: float) -> Iterator[None]:
    """Every way in which the SDK fails, as what it means; `no_answer` is what a broken connection means."""
    try:
        yield
    except docker.errors.APIError as error:
        raise _from_answer(error) from error
    except (requests.exceptions.ConnectTimeout, requests.exceptions.InvalidURL) as error:
        raise EngineError(Trouble.SILENT, "no connection within the deadline") from error
    except requests.exceptions.Timeout as error:
        raise EngineError(no_answer, f"no answer within {seconds:g}s") from error
    except (requests.exceptions.JSONDecodeError, docker.errors.StreamParseError) as error:
        raise EngineError(no_answer, "broken answer: not JSON") from error
    except (requests.exceptions.RequestException, docker.errors.DockerException, HTTPError, OSError) as error:
        raise _from_connection(error, no_answer, seconds) from error
    except (ValueError, LookupError, AttributeError, TypeError, HTTPException) as error:
        raise EngineError(no_answer, f"broken answer: {type(error).__name__}") from error


def _from_answer(error: docker.errors.APIError) -> EngineError:
    status = error.response.status_code if error.response is not None else 500
    said = str(error.explanation or error).strip()
    if status == 404:
        missing_image = "image" in said.lower()
        return EngineError(Trouble.NO_IMAGE if missing_image else Trouble.NOT_FOUND, said)
    if status == 409 and "name" in said and "in use" in said:
        return EngineError(Trouble.NAME_TAKEN, said)
    if status == 400 and "API version" in said:
        return EngineError(Trouble.UNUSABLE, said)
    if status == 400 and "HTTPS server" in said:
        return EngineError(Trouble.UNUSABLE, "it wants TLS, and its manifest names no certificate")
    return EngineError(Trouble.REJECTED, said)


def _from_connection(error: Exception, no_answer: Trouble, seconds: float) -> EngineError:
    text = str(error)
    if "timed out" in text:
        return EngineError(no_answer, f"no answer within {seconds:g}s")
    if "refused" in text or "No such file" in text or "FileNotFoundError" in text:
        return EngineError(Trouble.REFUSED, "connection refused: is the Engine running?")
    if _TLS_REFUSAL.search(text):
        return EngineError(Trouble.UNUSABLE, f"TLS: {_innermost(error)}")
    if "Failed to establish" in text or "No route" in text or "unreachable" in text or "resolve" in text:
        return EngineError(Trouble.SILENT, "no connection to the Engine")
    return EngineError(no_answer, "the connection broke")


def _innermost(error: BaseException) -> str:
    """The sentence of the first cause."""
    while error.__context__ is not None:
        error = error.__context__
    return str(getattr(error, "verify_message", "") or error)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


def _listed(row: Mapping[str, Any]) -> ListedContainer:
    status = str(row.get("Status", ""))
    state = str(row.get("State", ""))
    health = next((word for mark, word in _HEALTH.items() if status.endswith(mark)), Health.NONE)
    exited = re.match(r"Exited \((\d+)\)", status)
    ports = {
        PublishedPort(int(port["PrivatePort"]), int(port["PublicPort"]), str(port.get("Type", "tcp")))
        for port in row.get("Ports") or ()
        if "PublicPort" in port
    }
    return ListedContainer(
        id=str(row["Id"]),
        name=str(row["Names"][0]).removeprefix("/") if row.get("Names") else "",
        labels=row.get("Labels") or {},
        state=ContainerState(state) if state in _STATES else ContainerState.DEAD,
        health=health,
        ports=tuple(sorted(ports)),
        exit_code=int(exited[1]) if exited else None,
    )
