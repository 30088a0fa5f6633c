"""A check from outside: is a published port answered? Asked from here, as a client of the container would."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

from rota.clock import SystemClock
from rota.core.container import Check
from rota.engine.docker_http import BrokenAnswer, Connection, Endpoint, Request
from rota.engine.port import EngineError, Trouble

_clock = SystemClock()
_AS_IT_IS = "/?#[]@!$&'()*+,;=:%~"


def look(address: str, port: int, check: Check) -> None:
    """Returns where the port is answered well within `check.timeout`, headers and all; else an `EngineError`.

    No redirection is followed, and no body read. The error is the container's: it says nothing of its Engine.
    """
    endpoint = Endpoint(address, port)
    until = _clock.now().mono + check.timeout
    where = f"TCP {endpoint.name}" if check.path is None else f"GET http://{endpoint.name}{check.path}"
    try:
        connection = Connection(endpoint, endpoint.connect(until))
        try:
            status = HTTPStatus.OK if check.path is None else _status(connection, check.path, until)
        finally:
            connection.close()
    except ConnectionRefusedError as error:
        raise EngineError(Trouble.REFUSED, f"{where}: connection refused") from error
    except TimeoutError as error:
        raise EngineError(Trouble.SILENT, f"{where}: no answer within {check.timeout:g}s") from error
    except BrokenAnswer as error:
        raise EngineError(Trouble.REJECTED, f"{where}: {error}") from error
    except OSError as error:
        raise EngineError(Trouble.SILENT, f"{where}: {error.strerror or error}") from error
    if status >= HTTPStatus.BAD_REQUEST:
        raise EngineError(Trouble.REJECTED, f"{where}: status {status}")


def _status(connection: Connection, path: str, until: float) -> int:
    connection.send(Request(path=quote(path, safe=_AS_IT_IS), headers={"Connection": "close"}), until)
    return connection.receive_head().status
