"""Docker's Engine API over a host's unix socket: the truth about a host, independent of Rota."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any, BinaryIO

from tests.lab.shell import LabError

ANSWER_SECONDS = 20.0


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket; the host name is only what HTTP wants in its header."""

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("docker", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def call(
    path_of_socket: Path,
    method: str,
    path: str,
    body: object | None = None,
    *,
    seconds: float = ANSWER_SECONDS,
) -> tuple[int, Any]:
    """One call: status code and answer. An answer that is not one JSON value is given as text, none as None.

    `body` is sent as JSON, or as it is where it is an open binary file; `seconds` bounds each read.
    """
    connection = _UnixConnection(path_of_socket, seconds)
    try:
        connection.request(method, path, **_content(body))
        answer = connection.getresponse()
        return answer.status, _parsed(answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise LabError(
            f"{method} {path} got no answer on {path_of_socket} within {seconds:g} s"
            f" ({error or type(error).__name__}): see whether its dockerd runs"
        ) from error
    finally:
        connection.close()


def answers(path_of_socket: Path) -> bool:
    """Whether a dockerd answers on this socket now."""
    try:
        return call(path_of_socket, "GET", "/_ping", seconds=1.0)[0] == http.client.OK
    except LabError:
        return False


def _content(body: object | None) -> dict[str, Any]:
    """How `body` is sent: nothing, a tar file, or JSON."""
    if body is None:
        return {}
    if isinstance(body, BinaryIO) or hasattr(body, "read"):
        return {"body": body, "headers": {"Content-Type": "application/x-tar"}}
    return {"body": json.dumps(body), "headers": {"Content-Type": "application/json"}}


def _parsed(answer: bytes) -> Any:
    if not answer:
        return None
    try:
        return json.loads(answer)
    except ValueError:
        return answer.decode(errors="replace")
