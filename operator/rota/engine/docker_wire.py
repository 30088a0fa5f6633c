"""What is asked of an Engine without its SDK: pings, lists, streams, all that changes nothing.

Connections are kept and used again. One on which anything failed is dropped: nothing comes through a
connection into a network that died. Who gets no answer knocks: is the host silent, or only its Engine?
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

from docker.tls import TLSConfig

from rota.clock import SystemClock
from rota.engine.docker_http import Answer, BrokenAnswer, Connection, Endpoint, Request
from rota.engine.docker_troubles import (
    CLOSED,
    NO_CONNECTION,
    NOT_IN_TIME,
    NOT_RUNNING,
    from_tls,
    no_answer,
    refusal,
)
from rota.engine.port import EngineError, Trouble

KNOCK_SECONDS = 1.0
"""A host that lives accepts a connection within this time, or refuses it: its kernel does, not its Engine."""
MOST_IDLE = 2
"""Connections kept for the next call: the one that watches, and one more."""
_clock = SystemClock()
Certificate = Callable[[], TLSConfig | None]


class Wire:
    """The connections to one Engine. Its methods may be called from several threads at once."""

    def __init__(self, endpoint: str, certificate: Certificate, *, patience: float) -> None:
        """`certificate` is asked for each connection. A host that is silent for `patience` seconds is knocked
        at, and given up at once where it does not answer that."""
        self._endpoint = endpoint
        self._certificate = certificate
        self._patience = patience
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._closed = False
        self._target: Endpoint | None = None

    def ask(self, request: Request, seconds: float) -> Answer:
        """The whole answer within `seconds`; an `EngineError` where it is none, or an error."""
        with self._connection(seconds) as connection:
            with self._answering(seconds):
                self._await(connection, request, seconds)
                answer = connection.receive()
            self._put_back(connection)
        _insist(answer)
        return answer

    def stream(self, request: Request, seconds: float) -> Stream:
        """An answer that takes as long as it takes, once it has begun within `seconds`."""
        with self._connection(seconds) as connection:
            with self._answering(seconds):
                self._await(connection, request, seconds)
                head = connection.receive_head()
                if head.status >= HTTPStatus.BAD_REQUEST:
                    _insist(Answer(head.status, head.headers, b"".join(connection.rest(head))))
            _insist(head)
            return Stream(connection.pieces(head), lambda: self._end(connection))

    def silence(self, seconds: float) -> EngineError:
        """What it means that nothing came back within `seconds`: knocks."""
        target = self._target
        if target is not None and not target.path:
            try:
                target.connect(_clock.now().mono + KNOCK_SECONDS).close()
            except ConnectionRefusedError:
                return EngineError(Trouble.REFUSED, NOT_RUNNING)
            except OSError:
                return EngineError(Trouble.SILENT, no_answer(seconds))
        return EngineError(Trouble.HUNG, f"{no_answer(seconds)}, though its host answers")

    def close(self) -> None:
        """End every call that is under way, and all connections."""
        with self._lock:
            self._closed = True
            connections, self._open, self._idle = self._open, set(), []
        for one in connections:
            one.close()

    @contextmanager
    def _connection(self, seconds: float) -> Iterator[Connection]:
        """One that stands; it is dropped where the block fails."""
        connection = self._take() or self._connect(seconds)
        try:
            yield connection
        except BaseException:
            self._end(connection)
            raise

    def _take(self) -> Connection | None:
        while True:
            with self._lock:
                if self._closed:
                    raise EngineError(Trouble.SILENT, CLOSED)
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if connection.alive:
                return connection
            self._end(connection)

    def _put_back(self, connection: Connection) -> None:
        with self._lock:
            keeps = connection.reusable and len(self._idle) < MOST_IDLE and not self._closed
            if keeps:
                self._idle.append(connection)
        if not keeps:
            self._end(connection)

    def _end(self, connection: Connection) -> None:
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def _connect(self, seconds: float) -> Connection:
        """A new one. Its host accepts soon, as it would a knock; TLS is spoken by the Engine, in its time."""
        now = _clock.now().mono
        tls = self._certificate()
        endpoint = self._target = self._parsed(tls=tls is not None)
        try:
            sock = endpoint.connect(now + min(seconds, self._patience + KNOCK_SECONDS))
        except (ConnectionRefusedError, FileNotFoundError) as error:
            raise EngineError(Trouble.REFUSED, NOT_RUNNING) from error
        except TimeoutError as error:
            raise EngineError(Trouble.SILENT, NOT_IN_TIME) from error
        except OSError as error:
            raise EngineError(Trouble.SILENT, NO_CONNECTION) from error
        connection = Connection(endpoint, sock)
        with self._lock:
            if not self._closed:
                self._open.add(connection)
        try:
            if tls is not None:
                with self._answering(seconds):
                    connection.secure(self._context(tls), now + seconds)
            if connection not in self._open:
                raise EngineError(Trouble.SILENT, CLOSED)
        except BaseException:
            self._end(connection)
            raise
        return connection

    def _parsed(self, *, tls: bool) -> Endpoint:
        try:
            return Endpoint.parse(self._endpoint, tls=tls)
        except ValueError as error:
            raise EngineError(Trouble.UNUSABLE, f"{self._endpoint} cannot be used: {error}") from error

    def _context(self, tls: TLSConfig) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=tls.ca_cert)
            if tls.cert:
                context.load_cert_chain(*tls.cert)
        except (OSError, ValueError) as error:
            message = f"{self._endpoint} cannot be used: its certificate: {error}"
            raise EngineError(Trouble.UNUSABLE, message) from error
        return context

    def _await(self, connection: Connection, request: Request, seconds: float) -> None:
        """Ask, and see that the host is there at all before more time is spent on it."""
        connection.send(request, _clock.now().mono + seconds)
        if not connection.answers_within(min(seconds, self._patience)):
            silence = self.silence(self._patience)
            if silence.trouble is not Trouble.HUNG:
                raise silence

    @contextmanager
    def _answering(self, seconds: float) -> Iterator[None]:
        """What goes wrong while something is accepted and not yet answered."""
        try:
            yield
        except BrokenAnswer as error:
            raise EngineError(Trouble.HUNG, f"broken answer: {error}") from error
        except (TimeoutError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise self._silence_of(seconds) from error
        except ssl.SSLError as error:
            raise from_tls(error) from error
        except OSError as error:
            silence = self._silence_of(seconds)
            if silence.trouble is Trouble.HUNG:
                silence = EngineError(Trouble.HUNG, "the connection broke")
            raise silence from error

    def _silence_of(self, seconds: float) -> EngineError:
        return EngineError(Trouble.SILENT, CLOSED) if self._closed else self.silence(seconds)


class Stream:
    """What comes, in pieces, until its end; an `EngineError` where it breaks, by `close` for one."""

    def __init__(self, pieces: Iterator[bytes], end: Callable[[], None]) -> None:
        self._pieces = pieces
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._pieces
        except BrokenAnswer as error:
            raise EngineError(Trouble.HUNG, f"broken answer: {error}") from error
        except OSError as error:
            raise EngineError(Trouble.SILENT, "the stream broke") from error
        finally:
            self._end()

    def close(self) -> None:
        self._end()


def _insist(answer: Answer) -> None:
    """An answer that is no success is an error, told in the Engine's own words."""
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return
    if answer.status < HTTPStatus.BAD_REQUEST:
        raise EngineError(Trouble.REJECTED, f"answers with a redirection ({answer.status})")
    try:
        said = json.loads(answer.body)["message"]
    except (ValueError, LookupError, TypeError):
        said = answer.body.decode("utf-8", "replace")
    raise refusal(answer.status, str(said))
