"""A server on loopback that answers as a test tells it: late, in drips, wrong, or not at all."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

DRIP_SECONDS = 0.02


@dataclass
class Stub:
    """Sends what `answer` gives for the path of each request: bytes, in pieces; an empty one hangs up.

    `asked` lists the paths, `headers` those of the last request, in lower case; `open` every connection
    that was accepted. `over` is set at the end: whoever pauses waits on it.
    """

    listener: socket.socket
    answer: Callable[[str], Iterator[bytes]]
    open: list[socket.socket] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.port = self.listener.getsockname()[1]

    @property
    def connections(self) -> int:
        """How many were ever accepted."""
        return len(self.open)

    def hang_up(self) -> None:
        """End every connection."""
        for connection in self.open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def endpoint(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError), connection.makefile("rb") as incoming:
            while (line := incoming.readline()) and not self.over.is_set():
                path = line.split()[1].decode()
                headers = {}
                while header := incoming.readline().decode().strip():
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                incoming.read(int(headers.get("content-length", 0)))
                self.headers = headers
                self.asked.append(path)
                for piece in self.answer(path):
                    connection.sendall(piece)
                    if not piece or self.over.is_set():
                        return


@contextmanager
def stub(answer: Callable[[str], bytes | Iterator[bytes]]) -> Iterator[Stub]:
    """Serve `answer` for every path but that of pings, which are always answered well and at once."""

    def pieces(path: str) -> Iterator[bytes]:
        if path.endswith("/_ping"):
            yield pong()
            return
        made = answer(path)
        yield from [made] if isinstance(made, bytes) else made

    with raw_stub(pieces) as running:
        yield running


@contextmanager
def raw_stub(answer: Callable[[str], Iterator[bytes]]) -> Iterator[Stub]:
    """Serve `answer` for every path."""
    listener = socket.create_server(("127.0.0.1", 0))
    running = Stub(listener, answer)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                running.open.append(connection)
                threading.Thread(target=running.serve, args=(connection,), daemon=True).start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield running
    finally:
        running.over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(2)
        running.hang_up()
        for connection in running.open:
            connection.close()


def pong(version: str = "1.41") -> bytes:
    """What an Engine answers to a ping; it says which API it speaks."""
    return f"HTTP/1.1 200 OK\r\nApi-Version: {version}\r\nContent-Length: 2\r\n\r\nOK".encode()


def as_json(content: object, status: str = "200 OK") -> bytes:
    return plain(json.dumps(content).encode(), status, "application/json")


def plain(body: bytes, status: str = "200 OK", kind: str = "text/plain") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def chunked(*chunks: bytes, end: bool = True) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in chunks)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + body + (b"0\r\n\r\n" if end else b"")


def dripped(content: bytes, over: threading.Event) -> Iterator[bytes]:
    """One byte at a time."""
    for byte in content:
        if over.wait(DRIP_SECONDS):
            return
        yield bytes([byte])


def silent(over: threading.Event) -> Iterator[bytes]:
    """Nothing, for as long as the server lives."""
    over.wait()
    yield b""
