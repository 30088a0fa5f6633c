"""A whole fleet in one thread: real workers and the real decide on memory engines and a virtual clock."""

from __future__ import annotations

import json
import queue
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from rota.core.decide import Decision, decide
from rota.core.ledger import Ledger
from rota.core.model import Fleet
from rota.core.observed import HostView, Now, ObservedState, Outcome
from rota.engine.calls import AskFacts, ListContainers, Ping, perform
from rota.engine.memory import MemoryEngine, MemoryStream
from rota.engine.observe import presume, settle_identities
from rota.engine.port import EngineError
from rota.engine.worker import (
    Answered,
    Asked,
    Failed,
    HostWorker,
    Stirred,
    StreamBroke,
    StreamOpened,
    Submitted,
    Woke,
    WorkerEvent,
    actions_by_host,
)
from rota.reconcile import reserved_from_now_on
from rota.report.state import ledger_document, read_ledger

START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
Decide = Callable[[Fleet, ObservedState, Ledger, Now], Decision]


class VirtualClock:
    """Both clocks, moved by hand."""

    def __init__(self, wall: datetime = START) -> None:
        self.wall = wall
        self.mono = 1000.0

    def now(self) -> Now:
        return Now(wall=self.wall, mono=self.mono)

    def advance(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.mono += seconds


@dataclass
class Tally:
    """What the run did, for assertions and for the seed's line in the output."""

    passes: int = 0
    checks: int = 0
    calls: int = 0
    restarts: int = 0

    def add(self, other: Tally) -> None:
        """Count what another run did as well."""
        for name in ("passes", "checks", "calls", "restarts"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True)
class Published:
    """What stands on the status branch: all that a new daemon knows before it looks."""

    ledger: Ledger
    views: dict[str, HostView]


def reread(ledger: Ledger, now: Now) -> Ledger:
    """What a daemon that starts makes of the ledger that another has published."""
    return reserved_from_now_on(read_ledger(json.dumps(ledger_document(ledger)).encode()), now)


class World:
    """Steps the workers of all hosts and the brain, in an order that `seed` shuffles.

    `publishes` is the chance that a pass's status has arrived on the status branch before the next one,
    `slow` the chance, before each answer, that time passes before it comes.
    """

    def __init__(
        self,
        fleet: Fleet,
        clock: VirtualClock,
        seed: int = 0,
        *,
        publishes: float = 1.0,
        brain: Decide = decide,
    ) -> None:
        self.fleet = fleet
        self.clock = clock
        self.random = random.Random(seed)
        self.publishes = publishes
        self.slow = 0.0
        self.brain = brain
        self.engines: dict[str, MemoryEngine] = {}
        self.foreign: set[tuple[str, str]] = set()
        self.published = Published(Ledger(), {})
        self.invariants: list[Callable[[World], None]] = []
        self.tally = Tally()
        self.history: list[Outcome] = []
        self.kill_after: int | None = None
        """Kill the daemon when so many calls have been made, before it hears the last one's answer."""
        self.arrives = 0.0
        """The share of the other calls under way that still reach their Engine then."""
        self._forget()

    def _forget(self) -> None:
        """What a daemon that starts knows: the status branch and nothing else."""
        self.workers: dict[str, HostWorker] = {}
        self.streams: dict[str, MemoryStream] = {}
        self.queue: list[tuple[str, Asked]] = []
        self.outcomes: list[Outcome] = []
        self.wakes: dict[str, float] = {}
        self.decision: Decision | None = None
        self.observed = ObservedState()
        self.ledger = reread(self.published.ledger, self.clock.now())
        self.known: dict[str, HostView] = {
            name: replace(view, pending=(), stopping=frozenset())
            for name, view in self.published.views.items()
        }
        self.seen: dict[str, HostView] = {}
        self.due = 0.0
        self._configure()

    def restart_daemon(self, arrives: float = 0.0) -> None:
        """`kill -9` and a new start. `arrives` is the share of calls under way that reach their Engine."""
        under_way = self.queue
        for name, asked in under_way:
            if self.random.random() < arrives:
                self._perform(name, asked)
        for stream in self.streams.values():
            stream.close()
        self.tally.restarts += 1
        self._forget()

    def _configure(self) -> None:
        """A worker for every host of the commit, and for those that left it and are being drained."""
        wanted = [*self.fleet.hosts, *(name for name in self.ledger.hosts if name not in self.fleet.hosts)]
        for name in wanted:
            self.engines.setdefault(name, MemoryEngine(name, self.clock))
            if name not in self.workers:
                self.workers[name] = HostWorker(name, self.fleet.name, self.fleet.uid, self.fleet.failure)
                self.wakes[name] = 0.0
        for name in [name for name in self.workers if name not in wanted]:
            del self.workers[name]
            self.streams.pop(name, None)
            self.known.pop(name, None)
        self.queue = [(name, asked) for name, asked in self.queue if name in self.workers]

    def observe(self) -> ObservedState:
        self._configure()
        self.known = presume({name: worker.view for name, worker in self.workers.items()}, self.known)
        outcomes, self.outcomes = tuple(self.outcomes), []
        return ObservedState(
            hosts=settle_identities(self.known, self.ledger),
            outcomes=outcomes,
            recorded_pins=frozenset(self.published.ledger.pins),
        )

    def decide(self) -> Decision:
        """One pass: snapshot, decision, submission, publication."""
        self.observed = self.observe()
        self.decision = self.brain(self.fleet, self.observed, self.ledger, self.clock.now())
        self.ledger = self.decision.ledger
        self.seen = {name: worker.view for name, worker in self.workers.items()}
        wait = self.decision.requeue_after
        self.due = float("inf") if wait is None else self.clock.mono + wait
        groups = actions_by_host(self.decision.actions)
        for name in self.workers:
            self.feed(name, Submitted(groups.get(name, ())))
        if not self.observed.unseen() and self.random.random() < self.publishes:
            self.published = Published(self.ledger, dict(self.observed.hosts))
        self.tally.passes += 1
        for invariant in self.invariants:
            invariant(self)
            self.tally.checks += 1
        return self.decision

    def stirs(self) -> bool:
        """Whether a daemon that only passes when something happened or is due would pass now."""
        if self.decision is None or self.outcomes or self.clock.mono >= self.due:
            return True
        edge = self.decision.next_edge
        if edge is not None and self.clock.wall >= edge:
            return True
        if self.decision.ledger.pins.keys() - self.published.ledger.pins.keys():
            self.published = Published(self.ledger, dict(self.observed.hosts))
            return True
        return any(self.workers[name].view is not self.seen.get(name) for name in self.workers)

    def feed(self, name: str, event: WorkerEvent) -> None:
        step = self.workers[name].advance(event, self.clock.mono)
        self.outcomes += step.outcomes
        self.history += step.outcomes
        self.queue += [(name, asked) for asked in step.calls]
        self.wakes[name] = step.wake_at
        if step.listen:
            self._listen(name)

    def _listen(self, name: str) -> None:
        try:
            self.streams[name] = self.engines[name].events(self.fleet.name)
        except EngineError as error:
            self.feed(name, StreamBroke(error))
        else:
            self.feed(name, StreamOpened())

    def _hear(self, name: str) -> None:
        """What the event stream of a host has told since the last tick, any number of events as one."""
        stream, items = self.streams.get(name), []
        while stream is not None:
            try:
                items.append(stream.items.get_nowait())
            except queue.Empty:
                break
        broke = next((item for item in items if isinstance(item, EngineError)), None)
        if broke is not None:
            del self.streams[name]
            self.feed(name, StreamBroke(broke))
        elif items:
            self.feed(name, Stirred())

    def answer_one(self) -> bool:
        """Make one of the calls that are in flight, any of them; whether there was one."""
        if not self.queue:
            return False
        name, asked = self.queue.pop(self.random.randrange(len(self.queue)))
        event = self._perform(name, asked)
        if self.tally.calls == self.kill_after:
            self.kill_after = None
            self.restart_daemon(self.arrives)
        else:
            self.feed(name, event)
        return True

    def _perform(self, name: str, asked: Asked) -> WorkerEvent:
        if not isinstance(asked.call, Ping | AskFacts | ListContainers):
            self.tally.calls += 1
        try:
            return Answered(asked.number, perform(asked.call, self.engines[name]))
        except EngineError as error:
            return Failed(asked.number, error)

    def tick(self, seconds: float = 0.1) -> None:
        """Let some time pass: due timers fire, changes on the engines are told, calls are answered."""
        self.clock.advance(seconds)
        for name in sorted(self.workers):
            self.engines[name].settle()
            self._hear(name)
            if self.wakes[name] <= self.clock.mono:
                self.feed(name, Woke())
        while self.random.random() >= self.slow and self.answer_one():
            pass

    def add_foreign(self, host: str, name: str, labels: Mapping[str, str] | None = None) -> None:
        """A container that somebody else made, remembered as (host, id)."""
        self.foreign.add((host, self.engines[host].add_foreign(name, labels)))

    def run(self, seconds: float, step: float = 0.1) -> Decision:
        """Ticks and passes for `seconds` of virtual time."""
        for _ in range(round(seconds / step)):
            self.tick(step)
            self.decide()
        assert self.decision is not None
        return self.decision

    def run_until(self, condition: Callable[[World], bool], seconds: float, step: float = 0.1) -> float:
        """Ticks and passes until `condition` holds; how long it took. Fails after `seconds`."""
        began = self.clock.mono
        while not condition(self):
            assert self.clock.mono - began < seconds, f"not within {seconds:g}s: {self.decision}"
            self.run(step, step)
        return self.clock.mono - began

    @property
    def writes(self) -> int:
        return sum(engine.writes for engine in self.engines.values())

    def running(self, workload: str) -> list[str]:
        """Names of the containers of a workload that run, over all hosts, as `host:name`."""
        return sorted(
            f"{name}:{one.name}"
            for name, engine in self.engines.items()
            for one in engine.all_containers()
            if one.labels.get("rota.workload") == workload and one.state == "running"
        )
