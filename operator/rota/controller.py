"""WHEN a pass runs: after news from git or an Engine, at the exact edge of a window, when something that
was waited for is due, and every half minute in any case."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from rota.clock import Clock
from rota.core.observed import Now
from rota.reconcile import Pass, Reconciler

log = structlog.get_logger()

RESYNC_SECONDS = 30.0
JITTER = 0.1
GATHER_SECONDS = 0.02
"""News that comes within this time after the first shares a pass."""
HELD_SECONDS = 1.0
"""How often the kill switch is looked at while it holds."""
FAILED_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds until the next pass that nothing but time asks for: `due` until something that was waited
    for may have come (None where nothing is), `resync` until the pass that is made in any case."""

    due: float | None
    resync: float

    @property
    def seconds(self) -> float:
        """How long nothing has to be done without news."""
        return self.resync if self.due is None else min(self.due, self.resync)


class Controller:
    """Runs passes, one at a time, on the thread that calls `run`, or one by one with `run_once`."""

    def __init__(
        self, reconciler: Reconciler, clock: Clock, on_pass: Callable[[Pass], None] | None = None
    ) -> None:
        self._reconciler = reconciler
        self._clock = clock
        self._on_pass = on_pass
        self._news = threading.Event()
        self._stopped = threading.Event()
        self._jitter = random.Random()  # noqa: S311 - spreads load, guards nothing
        self._last: Pass | None = None
        self._passed_at: float | None = None

    def wake(self) -> None:
        """There is news; from any thread, as often as it likes."""
        self._news.set()

    def stop(self) -> None:
        self._stopped.set()
        self._news.set()

    @property
    def last(self) -> Pass | None:
        """The latest pass, for `/healthz` and whoever shows it."""
        return self._last

    @property
    def passed_at(self) -> float | None:
        """When the latest pass ended, in monotonic seconds."""
        return self._passed_at

    def run(self, until: Callable[[Pass], bool] = lambda _: False) -> Pass | None:
        """Pass after pass, until `stop`, or until a pass satisfies `until`; the last pass."""
        while not self._stopped.is_set():
            self._news.clear()
            wait = self._pass()
            if self._last is not None and until(self._last):
                break
            if self._news.wait(wait):
                self._stopped.wait(GATHER_SECONDS)
        return self._last

    def run_once(self) -> Wait:
        """One pass, and when the next one is due if there is no news. What it raises is a bug."""
        self._last = self._reconciler.run_pass()
        return self._seen_to(self._last)

    def _pass(self) -> float:
        """One pass that may fail; the seconds until the next one that nothing but time asks for."""
        try:
            self._last = self._reconciler.run_pass()
        except Exception:  # a bug must not end the daemon: what runs goes on, and the next pass is new
            log.exception("the pass failed; the next one starts anew. Please report this")
            return FAILED_SECONDS
        return self._seen_to(self._last).seconds

    def _seen_to(self, last: Pass) -> Wait:
        """What follows a pass: it is noted and shown, and the next one gets its time."""
        self._passed_at = self._clock.now().mono
        if self._on_pass is not None:
            self._on_pass(last)
        due = self._seconds_to_due(last)
        resync = RESYNC_SECONDS * (1 - JITTER + 2 * JITTER * self._jitter.random())
        return Wait(due=None if due is None else max(due, 0.0) + 0.001, resync=resync + 0.001)

    def _seconds_to_due(self, last: Pass) -> float | None:
        """Seconds until something that the last pass waits for."""
        waits = []
        decision = last.decision
        if decision is not None:
            if decision.requeue_after is not None:
                waits.append(decision.requeue_after)
            if decision.next_edge is not None:
                waits.append(self._seconds_to_edge(decision.next_edge, self._clock.now()))
            if decision.held:
                waits.append(HELD_SECONDS)
        return min(waits, default=None)

    def _seconds_to_edge(self, edge: datetime, now: Now) -> float:
        return self._clock.real_seconds((edge - now.wall).total_seconds())
