"""The web server on a thread of its own."""

from __future__ import annotations

import asyncio
import threading

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from rota.errors import Fatal

START_SECONDS = 10.0
STOP_SECONDS = 5.0
FINISH_SECONDS = 2
"""How long a request that is being answered may take when the server stops."""
MOST_CONNECTIONS = 100
IDLE_SECONDS = 10
"""Without a whole head of a request for this long, a connection is closed."""


class _ImpatientProtocol(H11Protocol):
    """Hangs up on clients that send the head of a request byte by byte, which uvicorn would let them."""

    _due: asyncio.TimerHandle
    _before: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._due = self.loop.call_later(IDLE_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._due.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """Close the connection unless a request is being answered, or has been since the last look."""
        if self.cycle is self._before and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()
            return
        self._before = self.cycle
        self._due = self.loop.call_later(IDLE_SECONDS, self._look)


class WebServer:
    """Serves an application until `stop`. Raises Fatal where it cannot listen."""

    def __init__(self, application: Starlette, address: str, port: int) -> None:
        self._address, self._port = address, port
        config = uvicorn.Config(
            application,
            host=address,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            http=_ImpatientProtocol,
            ws="none",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=FINISH_SECONDS,
            h11_max_incomplete_event_size=64 << 10,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="rota-web", daemon=True)

    def start(self) -> None:
        """Listen; returns once connections are accepted."""
        self._thread.start()
        waited = threading.Event()
        for _ in range(int(START_SECONDS / 0.02)):
            if self._server.started or not self._thread.is_alive():
                break
            waited.wait(0.02)
        if not self._server.started:
            raise Fatal(
                f"cannot listen on {self._address} port {self._port}: it is taken or may not be used. "
                "Choose another with --listen."
            )

    @property
    def port(self) -> int:
        """The port it listens on, also where any free one was asked for."""
        return int(self._server.servers[0].sockets[0].getsockname()[1])

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            self._server.run()
        except SystemExit:  # how uvicorn says that it could not listen
            return
