"""The SDK's client with what it lacks: a deadline for a whole call, an end from outside, no outer settings.

The SDK's own timeout is for each read, so a server that drips bytes would hold a call for ever. Here the
answer as a whole has to arrive in time, headers and body. Neither the environment nor the settings of
the Docker CLI are read. Only what changes something goes this way; see `docker_wire.py` for the rest.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import WeakSet

import docker
import requests
from docker.tls import TLSConfig
from docker.utils import parse_host
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from rota.clock import SystemClock
from rota.engine.docker_http import KEEP_ALIVE, MOST_ANSWER_BYTES

_clock = SystemClock()


class BoundedClient(docker.APIClient):
    """A client for one thread. `begin` starts a call's deadline; `abort` ends it from another thread."""

    def __init__(self, endpoint: str, tls: TLSConfig | None) -> None:
        # Not the SDK's own: it reads the CLI's settings and asks the Engine at once, without a deadline.
        requests.Session.__init__(self)
        self.trust_env = False
        self.max_redirects = 0
        self._general_configs: dict[str, Any] = {}
        self._custom_adapter = None
        self._version = ""
        self.timeout = 0  # what the SDK passes on; `send` puts what is left of the deadline in its place
        self._until = 0.0
        self._aborted = False
        self._lock = threading.Lock()
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._answer: requests.Response | None = None
        if tls is not None:
            tls.configure_client(self)
        self.adapters.clear()
        if endpoint.startswith("unix://"):
            self.base_url = "http://localhost"
            pool = partial(_UnixPool, path=endpoint.removeprefix("unix://"), remember=self._remember)
            self.mount("http://", _Adapter({"http": pool}))
        elif endpoint.startswith("tcp://"):
            self.base_url = str(parse_host(endpoint, tls=tls is not None))
            pools = {"http": _TcpPool, "https": _TlsPool}
            self.mount(
                "http", _Adapter({name: partial(one, remember=self._remember) for name, one in pools.items()})
            )
        else:
            raise ValueError("it begins with neither tcp:// nor unix://")

    def begin(self, seconds: float) -> None:
        """What is asked from now on has to be answered within `seconds`, all of it together."""
        self._until = _clock.now().mono + seconds

    def speak(self, version: str) -> None:
        self._version = version

    def abort(self) -> None:
        """End what is under way, in whatever thread, and refuse what would follow."""
        self._aborted = True
        for one in self._opened():
            with suppress(OSError):
                socket.socket.shutdown(
                    one, socket.SHUT_RDWR
                )  # also of a TLS socket, whose own is not thread-safe

    def close(self) -> None:
        self.abort()
        if self._answer is not None:
            self._answer.close()
        for one in self._opened():
            one.close()
        super().close()

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        left = self._until - _clock.now().mono
        if self._aborted:
            raise requests.exceptions.ConnectionError("the connection was closed")
        if left <= 0:
            raise requests.exceptions.Timeout("timed out")
        kwargs["timeout"] = left
        self._answer = super().send(request, **kwargs)
        return self._answer

    def _opened(self) -> list[socket.socket]:
        """The sockets that an answer was awaited on, unless they are gone."""
        with self._lock:
            return list(self._sockets)

    def _remember(self, sock: socket.socket) -> None:
        with self._lock:
            self._sockets.add(sock)


Remember = Callable[[socket.socket], None]


class BoundedResponse(http.client.HTTPResponse):
    """An answer that arrives within the socket's timeout as a whole, and within `MOST_ANSWER_BYTES`."""

    def __init__(self, remember: Remember, sock: socket.socket, **kwargs: Any) -> None:
        super().__init__(sock, **kwargs)
        remember(sock)
        self._bounded = _BoundedReader(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._bounded)


class _BoundedReader(io.RawIOBase):
    """Reads a socket until its timeout has passed once, counted from now."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        seconds = sock.gettimeout()
        self._until = _clock.now().mono + (seconds or 0.0)
        self._left = MOST_ANSWER_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - _clock.now().mono
        if left <= 0:
            raise TimeoutError("timed out")
        if self._left <= 0:
            raise ConnectionError(f"more than {MOST_ANSWER_BYTES} bytes")
        self._sock.settimeout(left)
        count = self._raw.readinto(buffer)
        self._left -= count or 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Bounding:
    """For a pool: the answers on its connections are bounded."""

    def __init__(self, *args: Any, remember: Remember, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._remember = remember

    def _new_conn(self) -> Any:
        connection = super()._new_conn()  # type: ignore[misc]
        connection.response_class = partial(BoundedResponse, self._remember)
        return connection


class _TcpPool(_Bounding, HTTPConnectionPool):
    pass


class _TlsPool(_Bounding, HTTPSConnectionPool):
    pass


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _UnixPools(HTTPConnectionPool):
    def __init__(self, *args: Any, path: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._path = path

    def _new_conn(self) -> Any:
        return _UnixConnection(self._path)


class _UnixPool(_Bounding, _UnixPools):
    pass


class _Adapter(requests.adapters.HTTPAdapter):
    """Connections from these pools, by scheme."""

    def __init__(self, pools: Mapping[str, Callable[..., Any]]) -> None:
        super().__init__()
        self.poolmanager.connection_pool_kw["socket_options"] = list(KEEP_ALIVE)
        self.poolmanager.pool_classes_by_scheme = pools
