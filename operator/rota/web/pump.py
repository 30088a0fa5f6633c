"""Blocking sources for an asynchronous reader: a thread each, a bounded queue, and an end for all of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog

from rota.errors import RotaError
from rota.web.views import Output

log = structlog.get_logger()

MOST_PIECES = 64
"""Pieces that wait for the reader; a full queue makes the sources wait."""
MOST_SOURCES = 32
HAND_OVER_SECONDS = 90.0
"""A piece that nobody has taken after this long never will be: the server has ended."""

Open = Callable[[], Output]


class Piece(NamedTuple):
    """What came of source number `source`: `content`, or its end (None), with `error` if it was a bad one.

    `output` is the source that ended, to be asked how.
    """

    source: int
    content: bytes | None
    error: str = ""
    output: Output | None = None


class Pump:
    """Reads `sources`, at most `MOST_SOURCES`, from `start` to `close`. For one event loop."""

    def __init__(self, sources: Sequence[Open]) -> None:
        assert len(sources) <= MOST_SOURCES
        self._sources = sources
        self._pieces: asyncio.Queue[Piece] = asyncio.Queue(MOST_PIECES)
        self._lock = threading.Lock()
        self._outputs: list[Output] = []
        self._closed = False
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        for number, source in enumerate(self._sources):
            threading.Thread(
                target=self._read, args=(number, source), name="rota-web-source", daemon=True
            ).start()

    async def next(self) -> Piece:
        """The next piece of any source. To be asked no more once every source has ended."""
        return await self._pieces.get()

    def close(self) -> None:
        """End every source. From the event loop."""
        with self._lock:
            self._closed = True
            outputs, self._outputs = self._outputs, []
        for output in outputs:
            output.close()
        while not self._pieces.empty():  # so that who waits to hand over a last piece is let go
            self._pieces.get_nowait()

    def _read(self, number: int, source: Open) -> None:
        try:
            output = source()
            if not self._hold(output):
                output.close()
                return
            for content in output:
                if content and not self._hand_over(Piece(number, content)):
                    return
            self._hand_over(Piece(number, None, output=output))
        except RotaError as error:
            self._hand_over(Piece(number, None, str(error)))
        except Exception as error:
            if not self._closed:
                log.exception("a stream failed unexpectedly. Please report this")
                self._hand_over(Piece(number, None, f"unexpected {type(error).__name__}"))

    def _hold(self, output: Output) -> bool:
        """Keep `output` to be closed; False where that has already happened to all of them."""
        with self._lock:
            if not self._closed:
                self._outputs.append(output)
            return not self._closed

    def _hand_over(self, piece: Piece) -> bool:
        """Whether `piece` is wanted still; waits until the reader has room for it."""
        if self._closed:
            return False
        offer = self._offer(piece)
        try:
            return asyncio.run_coroutine_threadsafe(offer, self._loop).result(HAND_OVER_SECONDS)
        except (RuntimeError, TimeoutError, asyncio.CancelledError):  # the server has ended meanwhile
            offer.close()
            return False

    async def _offer(self, piece: Piece) -> bool:
        if not self._closed:
            await self._pieces.put(piece)
        return not self._closed
