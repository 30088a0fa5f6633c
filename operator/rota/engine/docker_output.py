"""What Docker streams, read: events, and what containers and commands write."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from rota.engine.docker_troubles import meaning
from rota.engine.docker_wire import Stream
from rota.engine.port import ContainerEvent, EngineError, Trouble

EVENTS = (
    "create",
    "start",
    "restart",
    "die",
    "kill",
    "oom",
    "stop",
    "pause",
    "unpause",
    "rename",
    "update",
    "destroy",
    "health_status",
)
"""What is asked for: not the three events of each health check that runs."""
MOST_EVENT_BYTES = 1 << 20
MOST_LINE_CHARACTERS = 500
_HEADER_BYTES = 8


class DockerStream:
    """The events of one Engine. Ends with an `EngineError`."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[ContainerEvent]:
        with meaning(Trouble.HUNG):
            for line in _lines(self._stream):
                event = _event(json.loads(line))
                if event is not None:
                    yield event
        raise EngineError(Trouble.SILENT, "the event stream ended")

    def close(self) -> None:
        self._stream.close()


def _event(said: Any) -> ContainerEvent | None:
    action = str(said.get("Action", ""))
    if action.startswith("exec_"):
        return None
    actor = said.get("Actor") or {}
    exit_code = (actor.get("Attributes") or {}).get("exitCode")
    return ContainerEvent(
        action, str(actor.get("ID") or said.get("id", "")), None if exit_code is None else int(exit_code)
    )


def _lines(pieces: Iterator[bytes] | Stream) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > MOST_EVENT_BYTES:
            raise ValueError("an event without end")
        yield from (line for line in lines if line.strip())


class DockerOutput:
    """What a container or a command writes. `is_terminal`: its streams come as one, without frames."""

    def __init__(self, stream: Stream, *, is_terminal: bool) -> None:
        self._stream = stream
        self._is_terminal = is_terminal

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream) if self._is_terminal else unframed(iter(self._stream))

    def close(self) -> None:
        self._stream.close()


class DockerCommand(DockerOutput):
    """The output of a command; `ended` waits for its exit code."""

    def __init__(self, stream: Stream, ended: Callable[[], int]) -> None:
        super().__init__(stream, is_terminal=False)
        self._ended = ended

    def exit_code(self) -> int:
        return self._ended()


def unframed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Frames of 8 bytes (stream, 0, 0, 0, length) and content: the content. Half a frame counts."""
    rest, left = b"", 0
    for piece in pieces:
        rest += piece
        while rest and (left or len(rest) >= _HEADER_BYTES):
            if left:
                content, rest = rest[:left], rest[left:]
                left -= len(content)
                yield content
            elif rest[1:4] == b"\0\0\0":
                left = int.from_bytes(rest[4:_HEADER_BYTES], "big")
                rest = rest[_HEADER_BYTES:]
            else:
                raise EngineError(Trouble.HUNG, "broken answer: output without frames")


def last_lines(output: bytes, count: int) -> tuple[str, ...]:
    """The last lines as text, long ones cut."""
    lines = output.decode("utf-8", "replace").splitlines()
    return tuple(line[:MOST_LINE_CHARACTERS] for line in lines[-count:] if count > 0)
