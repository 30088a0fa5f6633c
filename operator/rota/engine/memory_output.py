"""What containers of an Engine in memory write, as streams."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator

from rota.engine.port import EngineError, Trouble


class MemoryOutput:
    """Pieces of output as they come; it ends when it is told to, or with an `EngineError` when closed."""

    def __init__(self, pieces: Iterable[bytes], *, ended: bool, exit_code: int = 0) -> None:
        self._pieces: queue.SimpleQueue[bytes | EngineError | None] = queue.SimpleQueue()
        self._exit_code = exit_code
        for piece in pieces:
            self._pieces.put(piece)
        if ended:
            self.end()

    def __iter__(self) -> Iterator[bytes]:
        while (piece := self._pieces.get()) is not None:
            if isinstance(piece, EngineError):
                raise piece
            yield piece

    def write(self, piece: bytes) -> None:
        self._pieces.put(piece)

    def end(self) -> None:
        self._pieces.put(None)

    def exit_code(self) -> int:
        return self._exit_code

    def close(self) -> None:
        self._pieces.put(EngineError(Trouble.SILENT, "the output was closed"))
