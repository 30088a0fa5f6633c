"""Reads an event stream as the runner does."""

from __future__ import annotations

import queue
import threading

from rota.engine.port import ContainerEvent, EventStream


class Listening:
    """A thread that reads a stream until the end of the `with` block, which closes it."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._items: queue.SimpleQueue[ContainerEvent | BaseException] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run)

    def next(self, seconds: float) -> ContainerEvent:
        """The next event; an error that ends the stream is raised here."""
        item = self._items.get(timeout=seconds)
        if isinstance(item, BaseException):
            raise item
        return item

    def until(self, action: str, seconds: float) -> ContainerEvent:
        """The next event of this kind."""
        while not (event := self.next(seconds)).action.startswith(action):
            pass
        return event

    def end(self, seconds: float) -> BaseException:
        """What ends the stream, after whatever it still told."""
        while not isinstance(item := self._items.get(timeout=seconds), BaseException):
            pass
        return item

    def _run(self) -> None:
        try:
            for event in self._stream:
                self._items.put(event)
            self._items.put(AssertionError("a stream does not just end"))
        except BaseException as error:  # noqa: BLE001 - told to the test
            self._items.put(error)

    def __enter__(self) -> Listening:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._thread.join(2)
        assert not self._thread.is_alive(), "close must end a blocked iteration"
