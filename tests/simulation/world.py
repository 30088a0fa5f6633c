"""A whole fleet in one thread: real workers and the real decide on memory engines and a virtual clock."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from rota.core.decide import Decision, decide
from rota.core.ledger import Ledger
from rota.core.model import Fleet
from rota.core.observed import HostView, Now, ObservedState
from rota.core.planning.outage import confirmed_lost
from rota.engine.calls import AskFacts, AskPort, ListContainers, Ping
from rota.engine.memory import MemoryEngine
from rota.engine.memory_registry import MemoryRegistry
from rota.engine.observe import presume, settle_identities, strangers
from rota.engine.runner import FleetSetup, HostSetup
from rota.engine.worker import WorkerEvent
from rota.reconcile import reserved_from_now_on
from rota.report.state import ledger_document, read_ledger
from rota.simulation import clock, hosts

START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
Decide = Callable[[Fleet, ObservedState, Ledger, Now], Decision]


class VirtualClock(clock.VirtualClock):
    """Both clocks, moved by hand, from a noon in summer."""

    def __init__(self, wall: datetime = START) -> None:
        super().__init__(wall)


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
        self.hosts = hosts.SteppedHosts(
            clock, self.random, self._hear_news, lambda name: MemoryEngine(name, clock)
        )
        self.foreign: set[tuple[str, str]] = set()
        self.published = Published(Ledger(), {})
        self.invariants: list[Callable[[World], None]] = []
        self.tally = Tally()
        self.kill_after: int | None = None
        """Kill the daemon when so many calls have been made, before it hears the last one's answer."""
        self.arrives = 0.0
        """The share of the other calls under way that still reach their Engine then."""
        self.kinds: set[str] = set()
        """The calls that were made, by the names of their kinds."""
        self.pushes = 0
        self.kill_after_push: int | None = None
        """Kill the daemon when the status branch was pushed so often, before it does anything else."""
        self._forget()

    def _forget(self) -> None:
        """What a daemon that starts knows: the status branch and nothing else."""
        self.decision: Decision | None = None
        self.observed = ObservedState()
        self.ledger = reread(self.published.ledger, self.clock.now())
        self.known: dict[str, HostView] = {
            name: replace(view, pending=(), stopping=frozenset())
            for name, view in self.published.views.items()
        }
        self.news = True
        self.due = 0.0
        self._configure()

    def restart_daemon(self, arrives: float = 0.0) -> None:
        """`kill -9` and a new start. `arrives` is the share of calls under way that reach their Engine."""
        for flying in self.hosts.flying:
            if self.random.random() < arrives:
                self._make(flying)
        self.hosts.forget()
        self.tally.restarts += 1
        self._forget()

    def _configure(self) -> None:
        """A worker for every host of the commit, and for those that left it and are being drained."""
        wanted = [*self.fleet.hosts, *(name for name in self.ledger.hosts if name not in self.fleet.hosts)]
        self.hosts.configure(
            FleetSetup(name=self.fleet.name, uid=self.fleet.uid, failure=self.fleet.failure),
            [HostSetup(name=name, endpoint="", tls=None) for name in wanted],
        )
        self.known = {name: view for name, view in self.known.items() if name in wanted}

    def _hear_news(self) -> None:
        self.news = True

    @property
    def engines(self) -> dict[str, MemoryEngine]:
        return self.hosts.engines

    @property
    def registry(self) -> MemoryRegistry:
        return self.hosts.registry

    def observe(self) -> ObservedState:
        self._configure()
        views, confirmed = self.hosts.views(), confirmed_lost(self.fleet, self.clock.now())
        self.known = presume(views, self.known, strangers(views, self.ledger, confirmed))
        return ObservedState(
            hosts=settle_identities(self.known, self.ledger, confirmed),
            outcomes=self.hosts.take_outcomes(),
            recorded_pins=frozenset(self.published.ledger.pins),
            resolves=True,
        )

    def decide(self) -> Decision:
        """One pass: snapshot, decision, submission, publication."""
        self.observed = self.observe()
        self.decision = self.brain(self.fleet, self.observed, self.ledger, self.clock.now())
        self.ledger = self.decision.ledger
        self.news = False
        wait = self.decision.requeue_after
        self.due = float("inf") if wait is None else self.clock.mono + wait
        self.hosts.submit(self.decision.actions)
        if not self.observed.unseen() and self.random.random() < self.publishes:
            self.published = Published(self.ledger, dict(self.observed.hosts))
            self.pushes += 1
        self.tally.passes += 1
        for invariant in self.invariants:
            invariant(self)
            self.tally.checks += 1
        decision = self.decision
        if self.pushes == self.kill_after_push:
            self.kill_after_push = None
            self.restart_daemon(self.arrives)
        return decision

    def stirs(self) -> bool:
        """Whether a daemon that only passes when something happened or is due would pass now."""
        if self.decision is None or self.news or self.clock.mono >= self.due:
            return True
        edge = self.decision.next_edge
        if edge is not None and self.clock.wall >= edge:
            return True
        if self.decision.ledger.pins.keys() - self.published.ledger.pins.keys():
            self.published = Published(self.ledger, dict(self.observed.hosts))
            return True
        return False

    def answer_one(self) -> bool:
        """Make one of the calls that are in flight, any of them; whether there was one."""
        flying = self.hosts.take_one()
        if flying is None:
            return False
        event = self._make(flying)
        if self.tally.calls == self.kill_after:
            self.kill_after = None
            self.restart_daemon(self.arrives)
        else:
            self.hosts.feed(flying.name, event)
        return True

    def _make(self, flying: hosts.Flying) -> WorkerEvent:
        self.kinds.add(type(flying.asked.call).__name__)
        if not isinstance(flying.asked.call, Ping | AskFacts | ListContainers | AskPort):
            self.tally.calls += 1
        return self.hosts.make(flying)

    def tick(self, seconds: float = 0.1) -> None:
        """Let some time pass: due timers fire, changes on the engines are told, calls are answered."""
        self.clock.advance(seconds)
        self.hosts.tell()
        while self.random.random() >= self.slow and self.answer_one():
            pass

    def add_foreign(self, host: str, name: str, labels: Mapping[str, str] | None = None) -> None:
        """A container that somebody else made, remembered as (host, id)."""
        self.foreign.add((host, self.engines[host].add_foreign(name, labels)))

    def run(self, seconds: float, step: float = 0.1) -> Decision:
        """Ticks and passes for `seconds` of virtual time."""
        decision: Decision | None = None
        for _ in range(round(seconds / step)):
            self.tick(step)
            decision = self.decide()
        assert decision is not None
        return decision

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
