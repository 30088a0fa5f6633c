"""One small fleet through one fault: what serves at every instant, what was done, and what must hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from rota.clock import Clock
from rota.core.decide import Decision, decide
from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.model import Amount, Fleet, Order, Override, Service, UpdateRules
from rota.core.observed import HostState, ObservedState, Outcome, Result
from rota.engine.memory import ImageTraits, MemoryEngine
from rota.engine.memory_registry import MemoryRegistry
from rota.reconcile import Brain, Pass
from rota.simulation.clock import VirtualClock
from rota.simulation.driver import Brains, Simulation
from rota.simulation.serving import Serving
from tests import builders
from tests.simulation.convergence import CONVERGENCE
from tests.simulation.invariants import (
    VolumesStay,
    a_pinned_slot_runs_once,
    budgets_hold,
    differences,
    foreign_is_untouched,
    no_host_is_overbooked,
    only_what_is_seen_is_stopped,
    ours,
    unknown_loses_nothing,
)
from tests.simulation.world import Tally

START = datetime(2026, 6, 1, 0, 0, tzinfo=UTC)
WEB, DB, SOLE = (WorkloadId("shop", name) for name in ("web", "db", "sole"))
UPDATE = UpdateRules(min_healthy_time=2.0, healthy_deadline=20.0, progress_deadline=60.0)
PATIENT = 1800.0
"""Seconds within which everything is over: deadlines, the longest back-off, moves that make it even again."""
SOUND = ImageTraits(healthy_after=1.0, stop_takes=1.0, create_takes=0.5, pull_takes=2.0)


def machine(traits: Mapping[str, ImageTraits], name: str, clock: Clock) -> MemoryEngine:
    """An Engine on which images behave as `traits` says, all others as sound ones."""
    engine = MemoryEngine(name, clock)
    engine.behaviour = lambda image, _: traits.get(image, SOUND)
    return engine


class Trial:
    """A fleet of one operator, in the shape in which invariants look at a world.

    It is brought up by the constructor. Whatever happens from then on, after every pass each invariant holds;
    `lowest` is how few slots of a workload served at the worst instant, `most` how many containers of it ran
    at the fullest, `done` what was carried out since then.
    """

    def __init__(
        self,
        fleet: Fleet,
        traits: Mapping[str, ImageTraits] | None = None,
        *,
        brain: Brain = decide,
        seed: int = 0,
    ) -> None:
        self.fleet_decided = fleet
        self.decision: Decision | None = None
        self.observed = ObservedState()
        self.ledger = Ledger()
        self.last: Pass | None = None
        self.tally = Tally()
        self.foreign: set[tuple[str, str]] = set()
        self.lowest: Counter[WorkloadId] = Counter()
        self.most: Counter[WorkloadId] = Counter()
        self.done: list[Outcome] = []
        self.states: list[tuple[str, HostState]] = []
        self.invariants: list[Callable[[Trial], None]] = [
            a_pinned_slot_runs_once,
            foreign_is_untouched,
            unknown_loses_nothing,
            no_host_is_overbooked,
            only_what_is_seen_is_stopped,
            budgets_hold,
            *CONVERGENCE,
            VolumesStay(),
        ]  # type: ignore[list-item]
        self._began = False
        self._serving = Serving()
        self._changes: dict[str, int] = {}
        self.simulation = Simulation(
            fleet,
            START,
            seed,
            brains=Brains(brain=brain),
            machines=partial(machine, traits or {}),
            observer=self,
        )
        self.simulation.run(90.0)
        self.begin()

    def begin(self) -> None:
        """What happens from now on counts."""
        assert differences(self) == []  # type: ignore[arg-type]
        self._began = True
        self.done, self.states, self._changes = [], [], {}
        self.lowest, self.most = Counter(), Counter()
        self.stepped()

    # --- what invariants look at

    @property
    def fleet(self) -> Fleet:
        return self.fleet_decided

    @property
    def clock(self) -> VirtualClock:
        return self.simulation.clock

    @property
    def engines(self) -> Mapping[str, MemoryEngine]:
        return self.simulation.hosts.engines

    @property
    def registry(self) -> MemoryRegistry:
        return self.simulation.hosts.registry

    # --- what the simulation tells

    def passed(self, last: Pass) -> None:
        if last.decision is None or last.fleet is None:
            return
        before = self.observed.hosts
        self.decision, self.observed, self.fleet_decided = last.decision, last.observed, last.fleet
        self.ledger, self.last = last.decision.ledger, last
        if self._began:
            self.done += [one for one in last.outcomes if one.result is not Result.FAILED]
            self.states += [
                (name, view.state)
                for name, view in sorted(last.observed.hosts.items())
                if name in before and before[name].state is not view.state
            ]
        for invariant in self.invariants:
            invariant(self)
            self.tally.checks += 1

    def stepped(self) -> None:
        """What serves and what runs, looked at again where something changed."""
        if not self._began:
            return
        changes = {name: engine.changes for name, engine in self.engines.items()}
        silent = {name: engine.answers for name, engine in self.engines.items()}
        if (changes, silent) == self._changes:
            return
        self._changes = (changes, silent)  # type: ignore[assignment]
        counts = self.serving()
        running = Counter(
            WorkloadId.parse(one.labels["rota.workload"])
            for name, one in ours(self)  # type: ignore[arg-type]
            if one.state.value == "running" and silent[name]
        )
        for workload in self.fleet.services:
            count = counts.get(workload, 0)
            self.lowest[workload] = min(self.lowest.get(workload, count), count)
            self.most[workload] = max(self.most[workload], running[workload])

    # --- what tests do and ask

    def serving(self) -> Mapping[WorkloadId, int]:
        return self._serving.look(self.simulation.hosts, self.fleet.uid)

    def commit(self, *services: Service, **fields: object) -> None:
        """The branch moves: these services are as given, and these fields of the fleet."""
        head = self.simulation.repository.view().loaded
        assert head is not None
        assert head.fleet is not None
        number = int(head.fleet.revision[-6:]) + 1
        fleet = replace(
            head.fleet,
            services={**head.fleet.services, **{one.id: one for one in services}},
            revision=f"{number:040}",
            **fields,  # type: ignore[arg-type]
        )
        self.simulation.repository.commit(fleet)

    def run(self, seconds: float) -> None:
        self.simulation.run(seconds)

    def missing(self) -> list[str]:
        """What is not yet as it is to be; empty once everything is over."""
        assert self.decision is not None
        return [*map(str, self.decision.changes), *differences(self)]  # type: ignore[arg-type]

    def settle(self, seconds: float = PATIENT) -> float:
        """Run until all is as the commit asks and stays so; how long it took, to ten seconds."""
        began = self.clock.mono
        while True:
            self.simulation.run(10.0)
            if not self.missing():
                return self.clock.mono - began
            assert self.clock.mono - began < seconds, "\n".join(["it does not settle", *self.missing()])

    def verbs(self) -> Counter[str]:
        """How often what was done since the beginning; images and names are looked up all the time."""
        return Counter(one.verb for one in self.done if one.verb in ("start", "restart", "stop"))

    def where(self, workload: WorkloadId) -> dict[str, str]:
        """The hosts of what runs, by slot, over all machines that answer or not."""
        return {
            one.labels["rota.slot"]: name
            for name, one in ours(self)  # type: ignore[arg-type]
            if one.labels["rota.workload"] == str(workload) and one.ready
        }

    def engine_of(self, workload: WorkloadId, slot: str = "0") -> MemoryEngine:
        return self.engines[self.where(workload)[slot]]


def fleet(*services: Service, hosts: int = 4) -> Fleet:
    made = builders.fleet([builders.host(f"h{number}") for number in range(hosts)], list(services or shop()))
    return replace(made, max_removals=Amount(value=100, percent=True), revision=f"{1:040}")


def shop() -> list[Service]:
    """Web servers that are never fewer, and a database with its data."""
    return [web(), db()]


def web(image: str = "web:1", replicas: int = 6, **fields: object) -> Service:
    made = builders.service("web", replicas, image=image, update=UPDATE)
    return replace(made, document_hash=image, **fields)  # type: ignore[arg-type]


def db(image: str = "mysql:8") -> Service:
    return builders.service(
        "db",
        1,
        container=builders.pinned(image),
        spec_hash=f"v1:{image}",
        update=replace(UPDATE, order=Order.STOP_FIRST),
        max_unavailable=Amount(value=1),
    )


def lost_for_good(host: str) -> Override:
    """A person knows that nothing of the old machine runs any more."""
    return Override(
        namespace="shop",
        name=f"lost-{host}",
        target_kind="Host",
        target_name=host,
        start=None,
        until=START + timedelta(days=30),
        reason="it burnt down",
        lost=True,
    )
