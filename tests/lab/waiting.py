"""Wait for a condition, never for a time."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

POLL_SECONDS = 0.02


def now() -> float:
    """Seconds on this machine's own clock: real hosts take real time."""
    return time.monotonic()  # noqa: TID251 - the lab is outside Rota, whose clock is an argument


def wait_for(condition: Callable[[], Value], deadline: float, what: str) -> Value:
    """Ask `condition` until it gives something true, and give that back.

    `deadline` is in seconds from now; `what` finishes the sentence "waited 5 s for …". An error
    raised by `condition` ends the wait: a condition that may fail says so by giving something false.
    """
    until = now() + deadline
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if now() >= until:
            raise TimeoutError(f"waited {deadline:g} s for {what}; it did not come")
        pause.wait(POLL_SECONDS)
