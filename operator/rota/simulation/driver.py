"""From instant to instant: time jumps to the next moment at which something can happen."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rota.clock import Clock
from rota.controller import GATHER_SECONDS, RESYNC_SECONDS, Controller
from rota.core.decide import decide
from rota.core.model import Fleet
from rota.core.placement.puzzle import Solver
from rota.engine.memory import MemoryEngine
from rota.reconcile import Brain, Limits, Pass, Reconciler
from rota.simulation.clock import VirtualClock
from rota.simulation.hosts import NEVER, SteppedHosts
from rota.simulation.repository import MemoryRepository

RARELY_SECONDS = 3600.0
"""Where passes find nothing new, the next that nothing asks for comes after `RARER` times the time, up to
this. Little is lost: whatever time alone brings, a decision names its instant."""
RARER = 4


Machines = Callable[[str, Clock], MemoryEngine]
"""Makes the Engine of a host that is met for the first time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brains:
    """What decides: the real one, unless a test plants a bug; and the exact search, where it is there."""

    brain: Brain = decide
    solver: Solver | None = None


class Observer(Protocol):
    """Whoever looks on: `passed` is called after each pass, `stepped` when an instant is over."""

    def passed(self, last: Pass) -> None: ...

    def stepped(self) -> None: ...


class Simulation:
    """One operator and its hosts.

    Everything follows from the arguments and what is done by `at`: the same again gives the same again.
    """

    def __init__(
        self,
        fleet: Fleet,
        start: datetime,
        seed: int = 0,
        *,
        brains: Brains | None = None,
        machines: Machines = MemoryEngine,
        observer: Observer | None = None,
    ) -> None:
        self.clock = VirtualClock(start)

        def open_engine(name: str) -> MemoryEngine:
            return machines(name, self.clock)

        choose = random.Random(seed)  # noqa: S311 - replays, guards nothing
        self.hosts = SteppedHosts(self.clock, choose, self._wake, open_engine)
        self.repository = MemoryRepository(fleet, self.clock, self._wake)
        self.passes = 0
        self.gather = GATHER_SECONDS
        """News that comes within this time after the first shares a pass; a slow daemon's is longer."""
        self._brains = brains or Brains()
        self._observer = observer
        self._ahead: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._choose = choose
        self.restart()

    def restart(self, arrives: float = 0.0) -> None:
        """A daemon starts, after `kill -9` of the one before: it knows the status branch and nothing else.

        `arrives` is the share of the calls under way that still reach their Engine.
        """
        for flying in self.hosts.flying:
            if self._choose.random() < arrives:
                self.hosts.make(flying)
        self.hosts.forget()
        self.repository.restart()
        reconciler = Reconciler(
            self.repository,
            self.hosts,
            self.clock,
            Limits(),
            self._brains.solver,
            brain=self._brains.brain,
        )
        self._controller = Controller(reconciler, self.clock)
        self._news_at = self._due = self._resync_at = self.clock.mono
        self._rest = RESYNC_SECONDS

    @property
    def last(self) -> Pass | None:
        """The latest pass of this daemon."""
        return self._controller.last

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """Have something happen `seconds` from now; of what is due at once, what was asked for first."""
        heapq.heappush(self._ahead, (self.clock.mono + seconds, next(self._order), what))

    def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock. The daemon notices with its next pass, within half a minute."""
        self.clock.jump(seconds)
        self._resync_at = min(self._resync_at, self.clock.mono + RESYNC_SECONDS)

    def run(self, seconds: float) -> None:
        """Let so much time pass. What happens at the very end is left to the next run."""
        end = self.clock.mono + seconds
        while self.clock.mono < end:
            self.step(end)

    def step(self, end: float) -> None:
        """One instant, and the way to the next one, at most to `end` (monotonic seconds)."""
        while self._ahead and self._ahead[0][0] <= self.clock.mono:
            heapq.heappop(self._ahead)[2]()
        self.repository.settle()
        self.hosts.settle()
        if min(self._news_at, self._due, self._resync_at) <= self.clock.mono:
            self._pass()
            self.hosts.settle()
        if self._observer is not None:
            self._observer.stepped()
        self.clock.advance_to(min(self._next(), end))

    def _wake(self) -> None:
        """There is news; as in the daemon, what comes with it shares its pass."""
        self._news_at = min(self._news_at, self.clock.mono + self.gather)

    def _pass(self) -> None:
        before = self._controller.last
        self._news_at = NEVER
        wait = self._controller.run_once()
        last = self._controller.last
        assert last is not None
        self.passes += 1
        if _found_nothing(last, before):
            self._rest = min(RARER * self._rest, RARELY_SECONDS)
        else:
            self._rest = RESYNC_SECONDS
        self._due = NEVER if wait.due is None else self.clock.mono + wait.due
        self._resync_at = self.clock.mono + self._rest
        if self._observer is not None:
            self._observer.passed(last)

    def _next(self) -> float:
        """When something can happen next. Heartbeats of a fleet at rest are left out: nothing comes of them.

        A worker that is not woken for longer than its patience takes it that the daemon slept, and doubts
        nobody; a shorter pause would count as silence, so it is not skipped.
        """
        ahead = self._ahead[0][0] if self._ahead else NEVER
        passes = min(self._news_at, self._due, self._resync_at)
        at = min(ahead, passes, self.hosts.next_change, self.repository.next_change)
        if self.hosts.calm and at - self.clock.mono > self.hosts.patience:
            return at
        return max(min(at, self.hosts.next_wake), self.clock.mono)


def _found_nothing(last: Pass, before: Pass | None) -> bool:
    """Whether a pass decided what the one before had decided, and that was to do nothing."""
    one, other = last.decision, before.decision if before is not None else None
    if one is None or other is None or one.actions or last.outcomes:
        return False
    return (one.changes, one.unplaced, one.wants) == (other.changes, other.unplaced, other.wants)
