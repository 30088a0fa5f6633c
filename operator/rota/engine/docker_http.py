"""HTTP as an Engine speaks it, and no more: a connection, one request after the other, each with a deadline.

A fleet is watched by thousands of small calls; those of the SDK cost a millisecond each, and each of its
clients more memory than all that a host has to say. Fails with `OSError` (`TimeoutError`, `ssl.SSLError` …)
or `BrokenAnswer`; what that means is for the caller to say.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from rota.clock import SystemClock

MOST_ANSWER_BYTES = 64 << 20
"""No list of containers is longer; an Engine that says more is not believed."""
MOST_HEAD_BYTES = 64 << 10
MOST_HEADERS = 100
PLAIN_PORT, TLS_PORT = 2375, 2376
KEEP_ALIVE = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""An event stream whose other end is gone without a word is noticed after 25 seconds."""
_PIECE_BYTES = 64 << 10
_clock = SystemClock()


class BrokenAnswer(Exception):
    """What came back is not an answer in HTTP, or one without end."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an Engine listens: a host and its port, or, where `path` is given, a unix socket."""

    host: str
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str, *, tls: bool) -> Endpoint:
        """Read `tcp://HOST[:PORT]` or `unix:///PATH`. `ValueError` where it is neither."""
        if text.startswith("unix://"):
            return cls("localhost", path=text.removeprefix("unix://"))
        if not text.startswith("tcp://"):
            raise ValueError("it begins with neither tcp:// nor unix://")
        parts = urlsplit(text)
        if not parts.hostname:
            raise ValueError("it names no host")
        return cls(parts.hostname, parts.port or (TLS_PORT if tls else PLAIN_PORT))

    @property
    def name(self) -> str:
        """What a request calls it."""
        if self.path:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def connect(self, until: float) -> socket.socket:
        """A connection that stands by `until` (monotonic time)."""
        if self.path:
            return _connected(socket.socket(socket.AF_UNIX), self.path, until)
        failed: OSError | None = None
        for family, kind, protocol, _, address in _addresses(self.host, self.port):
            sock = socket.socket(family, kind, protocol)
            for option in KEEP_ALIVE:
                sock.setsockopt(*option)
            try:
                return _connected(sock, address, until)
            except OSError as error:
                failed = error
        raise failed or OSError(f"{self.host} has no address")


def _addresses(host: str, port: int) -> list[Any]:
    for family in (socket.AF_INET, socket.AF_INET6):  # a number needs no resolver
        with suppress(OSError, ValueError):
            socket.inet_pton(family, host)
            return [(family, socket.SOCK_STREAM, 0, "", (host, port))]
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host} is no name of a host") from error


def _connected(sock: socket.socket, address: Any, until: float) -> socket.socket:
    try:
        sock.settimeout(_left(until))
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked; `body` goes as JSON."""

    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object | None = None

    def text(self, host: str) -> bytes:
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}", "User-Agent: rota"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        content = b""
        if self.method == "POST":
            content = b"" if self.body is None else json.dumps(self.body).encode()
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        return "\r\n".join([*lines, "", ""]).encode() + content


class Connection:
    """One connection, for one request at a time; `abort` ends it from any thread.

    Once something failed on it, or an answer was not read to its end, it is of no more use.
    """

    def __init__(self, endpoint: Endpoint, sock: socket.socket) -> None:
        self._endpoint = endpoint
        self._sock = sock
        self._received = b""
        self._until: float | None = None
        self._bytes_left = MOST_ANSWER_BYTES
        self._stays = True

    @property
    def reusable(self) -> bool:
        """Whether another request can follow: nothing is left unread."""
        return self._stays and not self._received

    @property
    def alive(self) -> bool:
        """Whether the other end has not hung up meanwhile."""
        try:
            return not self._ready(select.POLLIN, _clock.now().mono)
        except ConnectionAbortedError:
            return False

    def secure(self, context: ssl.SSLContext, until: float) -> None:
        """Speak TLS from now on."""
        self._sock.settimeout(_left(until))
        self._sock = context.wrap_socket(self._sock, server_hostname=self._endpoint.host)
        self._sock.setblocking(False)

    def send(self, request: Request, until: float) -> None:
        """Ask. The answer, too, has to be there by `until`."""
        self._until, self._bytes_left = until, MOST_ANSWER_BYTES
        text = request.text(self._endpoint.name)
        while text:
            with suppress(BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                text = text[self._sock.send(text) :]
                continue
            self._await(select.POLLOUT)

    def answers_within(self, seconds: float) -> bool:
        """Whether anything comes back in that time."""
        return self._ready(select.POLLIN, _clock.now().mono + seconds)

    def receive(self) -> Answer:
        """The answer, all of it."""
        head = self.receive_head()
        return Answer(head.status, head.headers, b"".join(self.rest(head)))

    def receive_head(self) -> Answer:
        """The answer without its body."""
        bytes_left = MOST_HEAD_BYTES
        while True:
            lines: list[bytes] = []
            while (line := self._line(bytes_left)) or not lines:
                bytes_left -= len(line) + 2
                lines.append(line)
                if len(lines) > MOST_HEADERS:
                    raise BrokenAnswer(f"more than {MOST_HEADERS} headers")
            version, _, rest = lines[0].partition(b" ")
            status = rest[:3]
            if not version.startswith(b"HTTP/1.") or not (len(status) == 3 and status.isdigit()):
                raise BrokenAnswer("not HTTP")
            pairs = [line.decode("latin-1").partition(":") for line in lines[1:]]
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            if not status.startswith(b"1"):
                self._stays = version == b"HTTP/1.1" and headers.get("connection", "").lower() != "close"
                return Answer(int(status), headers)

    def rest(self, head: Answer) -> Iterator[bytes]:
        """The body, within the deadline of its head."""
        if head.status in (204, 304):
            return
        if head.headers.get("transfer-encoding", "").lower() == "chunked":
            yield from self._chunks()
        elif "content-length" in head.headers:
            yield from self._exactly(_number(head.headers["content-length"].encode(), 10))
        else:
            self._stays = False
            yield from self._all()

    def pieces(self, head: Answer) -> Iterator[bytes]:
        """The body as it comes, with neither deadline nor bound: a stream."""
        self._until = None
        return self.rest(head)

    def abort(self) -> None:
        """End what is under way, in whatever thread."""
        with suppress(OSError):
            # Also of a TLS socket, whose own is not thread-safe.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def close(self) -> None:
        self.abort()
        self._sock.close()

    def _chunks(self) -> Iterator[bytes]:
        while size := _number(self._line(MOST_HEAD_BYTES).partition(b";")[0], 16):
            yield from self._exactly(size)
            if self._line(MOST_HEAD_BYTES):
                raise BrokenAnswer("a chunk longer than it says")
        while self._line(MOST_HEAD_BYTES):
            pass

    def _exactly(self, count: int) -> Iterator[bytes]:
        while count > 0:
            if not self._received:
                self._more()
            piece, self._received = self._received[:count], self._received[count:]
            count -= len(piece)
            yield piece

    def _all(self) -> Iterator[bytes]:
        """What comes until the other end hangs up."""
        with suppress(ConnectionAbortedError):
            while True:
                if not self._received:
                    self._more()
                piece, self._received = self._received, b""
                yield piece

    def _line(self, most: int) -> bytes:
        """What comes before the next end of a line."""
        while (end := self._received.find(b"\n")) < 0:
            if len(self._received) > most:
                raise BrokenAnswer("a line without end")
            self._more()
        line, self._received = self._received[:end], self._received[end + 1 :]
        if len(line) > most:
            raise BrokenAnswer("a line without end")
        return line.removesuffix(b"\r")

    def _more(self) -> None:
        """Wait for something; `ConnectionAbortedError` where the other end hung up."""
        while True:
            with suppress(BlockingIOError, ssl.SSLWantReadError):
                piece = self._sock.recv(_PIECE_BYTES)
                break
            self._await(select.POLLIN)
        if not piece:
            raise ConnectionAbortedError("the connection ended")
        if self._until is not None:
            self._bytes_left -= len(piece)
            if self._bytes_left < 0:
                raise BrokenAnswer(f"more than {MOST_ANSWER_BYTES} bytes")
        self._received += piece

    def _await(self, event: int) -> None:
        if not self._ready(event, self._until):
            raise TimeoutError("timed out")

    def _ready(self, event: int, until: float | None) -> bool:
        """Whether the socket can be read or written by `until`. Sockets never block by themselves: each call
        that may has every other thread ask for the interpreter, and there are thousands."""
        if event == select.POLLIN and isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            return True
        descriptor = self._sock.fileno()
        if descriptor < 0:
            raise ConnectionAbortedError("the connection was closed")
        poll = select.poll()
        poll.register(descriptor, event)
        return bool(poll.poll(None if until is None else max(until - _clock.now().mono, 0.0) * 1000))


def _number(text: bytes, base: int) -> int:
    try:
        number = int(text, base)
    except ValueError:
        number = -1
    if number < 0:
        raise BrokenAnswer("a length that is none")
    return number


def _left(until: float) -> float:
    left = until - _clock.now().mono
    if left <= 0:
        raise TimeoutError("timed out")
    return left
