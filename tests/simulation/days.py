"""Random fleets through random days: what they are, what happens to them, what must hold all the while."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from rota.clock import Clock
from rota.core.decide import Decision, decide
from rota.core.edges import edges
from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.model import Amount, CapacityPolicy, Fill, Fleet, Loss, Override, Scheduled, Window
from rota.core.observed import HostState, Now, ObservedState
from rota.core.placement.puzzle import Solver
from rota.engine.memory import MemoryEngine
from rota.engine.memory_registry import MemoryRegistry
from rota.reconcile import Brain, Pass
from rota.simulation.clock import VirtualClock
from rota.simulation.driver import Brains, Simulation
from rota.simulation.times import Span, Times
from tests import builders
from tests.simulation.crowds import ALL, FILLS, KINDS, CrowdedLife, crowded_host, crowded_service
from tests.simulation.fleets import MISSING_IMAGE, SICK_IMAGE, SOUND_IMAGES, TRAITS, with_image
from tests.simulation.world import Tally

DAYS = 3
HOUR = 3600.0
SPANS = (
    ("Europe/Berlin", datetime(2026, 6, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 3, 28, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 23, 12, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 7, 3, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 10, 31, tzinfo=UTC)),
    ("Asia/Kolkata", datetime(2026, 6, 1, 7, tzinfo=UTC)),
    ("UTC", datetime(2026, 12, 31, tzinfo=UTC)),
)
"""Zones, and when the days begin: for most of them the clocks change on one of the days."""
TIMES = Times(
    start={"": Span(0.1, 2.0)},
    pull={"": Span(0.5, 20.0)},
    healthy={"": Span(0.3, 8.0)},
    stop={"": Span(0.1, 9.0)},
)
LEADS = (None, None, 0.0, 120.0, 900.0)


def machine(seed: int, name: str, clock: Clock) -> MemoryEngine:
    """An Engine on which images behave as `TIMES` says, but for those that do not work."""
    engine = MemoryEngine(name, clock)
    usual = TIMES.behaviour(seed, name)
    sick = TRAITS[SICK_IMAGE]
    engine.behaviour = lambda image, which: sick if image == SICK_IMAGE else usual(image, which)
    engine.unpullable = {MISSING_IMAGE}
    return engine


@dataclass
class DaysLife(CrowdedLife):
    """One seed's fleet, its policies, and what happens in its days."""

    zone: ZoneInfo = field(init=False)
    start: datetime = field(init=False)
    bad_images: tuple[str, ...] = (SICK_IMAGE, MISSING_IMAGE)
    """Those that do not keep time busy: what dies every second makes a day long."""

    def __post_init__(self) -> None:
        super().__post_init__()
        key, self.start = self.choose.choice(SPANS)
        self.zone = ZoneInfo(key)

    def first_fleet(self) -> Fleet:
        choose = self.choose
        names = ["web", *choose.sample(self.kinds[1:], choose.randint(4, 5))]
        services = [crowded_service(name, "app:1", choose) for name in names]
        hosts = [crowded_host(f"h{number}") for number in choose.sample(range(12), choose.randint(3, 6))]
        return replace(
            builders.fleet(hosts, services, self._policies(names)),
            max_removals=ALL,
            max_moves_per_hour=choose.choice((0, 3, 60)),
            survive=choose.choice((None, None, None, Loss.HOST)),
            quotas=self._quotas(),
        )

    def _policies(self, names: list[str]) -> tuple[CapacityPolicy, ...]:
        """One or two, each with a few windows; the second one may contradict the first."""
        choose = self.choose
        fills = {WorkloadId("shop", name): self._fill() for name in FILLS if name in names}
        free = [name for name in names if name not in ("db", "edge")]
        made = []
        for number in range(choose.choice((1, 1, 2))):
            windows = tuple(self._window(f"w{each}", free) for each in range(choose.randint(1, 2)))
            base = fills if number == 0 else {}
            made.append(builders.policy(name=f"p{number}", zone=self.zone, base=base, windows=windows))
        return tuple(made)

    def _window(self, name: str, free: list[str]) -> Window:
        choose = self.choose
        starts, ends = choose.sample(range(0, 24 * 60, 15), 2)
        amounts: dict[WorkloadId, Amount | Fill] = {}
        for one in choose.sample(free, choose.randint(1, 3)):
            fills = one in FILLS and choose.random() < 0.5
            amounts[WorkloadId("shop", one)] = (
                self._fill() if fills else Amount(value=choose.randrange(KINDS[one][1] + 1))
            )
        minutes = (ends - starts) % (24 * 60)
        cron = Scheduled(cron=f"{starts % 60} {starts // 60} * * *", duration=60.0 * minutes)
        days = range(7) if choose.random() < 0.7 else choose.sample(range(7), 4)
        shut = {(self.start + timedelta(days=choose.randrange(DAYS))).date()} if choose.random() < 0.2 else ()
        made = builders.window(_clock(starts), _clock(ends), days=frozenset(days), name=name)
        return replace(
            made,
            hours=cron if choose.random() < 0.15 else made.hours,
            replicas=amounts,
            priority=choose.randrange(3),
            lead=choose.choice(LEADS),
            except_on=frozenset[date](shut),
        )

    def _fills(self, world: Days) -> Fleet:  # type: ignore[override]
        policies = tuple(
            replace(one, base={key: self._fill() for key in one.base}) for one in world.fleet.policies
        )
        return replace(world.fleet, policies=policies)

    def _image(self, world: Days) -> Fleet:  # type: ignore[override]
        """Another image for a service; one that cannot work is mended by a commit within minutes, for days of
        retries would tell nothing new."""
        fleet = super()._image(world)  # type: ignore[arg-type]

        def mend() -> None:
            bad = [one for one in world.fleet.services.values() if one.container.image in self.bad_images]
            if bad:
                mended = {one.id: with_image(one, "app:3") for one in bad}
                self.publish(world, replace(world.fleet, services={**world.fleet.services, **mended}))  # type: ignore[arg-type]

        world.simulation.at(self.choose.uniform(30.0, 300.0), mend)
        return fleet

    def _override(self, world: Days) -> Fleet:  # type: ignore[override]
        """For some hours: another count, or a window held open, or a host cordoned."""
        fleet, choose = world.fleet, self.choose
        until = world.clock.wall + timedelta(minutes=choose.randint(1, 600))
        name, kind = f"o{self.commits}", choose.randrange(3)
        made = partial(Override, namespace="shop", name=name, start=None, until=until, reason="simulated")
        if kind == 0:
            policy = choose.choice(fleet.policies)
            window = choose.choice(("base", *(one.name for one in policy.windows)))
            new = made(target_kind="CapacityPolicy", target_name=policy.name, window=window)
        elif kind == 1:
            host = choose.choice(sorted(fleet.hosts))
            new = made(target_kind="Host", target_name=host, unschedulable=choose.random() < 0.7)
        else:
            free = [one for one in sorted(fleet.services) if one.name not in ("db", "edge")]
            new = made(
                target_kind="Service",
                target_name=choose.choice(free).name,
                replicas=self._fill() if choose.random() < 0.3 else Amount(value=choose.randrange(5)),
            )
        others = tuple(one for one in fleet.overrides if one.target_name != new.target_name)
        return replace(fleet, overrides=(*others, new))

    def plan(self, world: Days) -> None:
        """Have it all happen: every kind of fault at least once, half of them while others are dealt with."""
        choose = self.choose
        kinds: list[Callable[[Days], None]] = [
            self.outage,
            self.outage,
            self.lost_answers,
            self.crash,
            self.no_room_on_disk,
            self.no_registry,
            self.touch,
            self.daemon,
            partial(self.jump, seconds=HOUR),
            partial(self.jump, seconds=-HOUR),
            self.lag,
            self.foreign,
            *(self.commit,) * 3,
            partial(self.certain, change=self._override),
        ]
        choose.shuffle(kinds)
        busy = [(edge - world.clock.wall).total_seconds() for edge in edges_of(world.fleet, world.clock.wall)]
        busy = [at for at in busy if at < DAYS * 24 * HOUR]
        at = 0.0
        for number, kind in enumerate(kinds):
            if number % 2 and at:
                at += choose.uniform(0.0, 15.0)  # while the one before is being dealt with
            elif busy and choose.random() < 0.5:
                at = max(choose.choice(busy) + choose.uniform(-120.0, 60.0), 1.0)
            else:
                at = choose.uniform(60.0, DAYS * 24 * HOUR - 2 * HOUR)
            world.simulation.at(at, partial(kind, world))

    def certain(self, world: Days, change: Callable[[Days], Fleet]) -> None:
        self.publish(world, change(world))  # type: ignore[arg-type]

    def outage(self, world: Days) -> None:
        """A host is cut off, or its Engine hangs or refuses; for seconds or hours."""
        engine = world.engines[self.choose.choice(sorted(world.engines))]
        self.choose.choice((engine.cut, engine.cut, engine.hang, engine.refuse))()
        seconds = self.choose.choice((2.0, 8.0, 60.0, 2 * HOUR))
        reboots = self.choose.random() < 0.5

        def end() -> None:
            if reboots:
                engine.crash_and_restart()
            engine.heal()

        world.simulation.at(seconds, end)

    def lost_answers(self, world: Days) -> None:
        world.engines[self.choose.choice(sorted(world.engines))].lose_answers(self.choose.randrange(1, 5))

    def no_room_on_disk(self, world: Days) -> None:
        engine = world.engines[self.choose.choice(sorted(world.engines))]
        engine.disk_full = True
        world.simulation.at(self.choose.uniform(30.0, HOUR), partial(setattr, engine, "disk_full", False))

    def no_registry(self, world: Days) -> None:
        """The registry is down for some minutes; then tags may stand for other images."""
        world.registry.trouble = "503 Service Unavailable"

        def end() -> None:
            world.registry.trouble = ""
            world.registry.move(self.choose.choice(SOUND_IMAGES))

        world.simulation.at(self.choose.uniform(30.0, 600.0), end)

    def crash(self, world: Days) -> None:
        world.engines[self.choose.choice(sorted(world.engines))].crash_and_restart()

    def daemon(self, world: Days) -> None:
        world.tally.restarts += 1
        world.simulation.restart(arrives=self.choose.random())

    def jump(self, world: Days, seconds: float) -> None:
        world.simulation.jump(seconds)

    def lag(self, world: Days) -> None:
        """The status branch takes its time from now on."""
        world.simulation.repository.lag = self.choose.choice((0.5, 5.0, 40.0))

    def calm(self, world: Days) -> None:  # type: ignore[override]
        world.simulation.repository.lag = 0.0
        super().calm(world)  # type: ignore[arg-type]


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def edges_of(fleet: Fleet, start: datetime) -> list[datetime]:
    return list(edges(fleet, start, start + timedelta(days=DAYS)))


@dataclass
class Days:
    """One seed's operator, in the shape in which invariants look at a world.

    `invariants` are called after every pass, `always` when an instant is over.
    """

    life: DaysLife
    brain: Brain = decide
    invariants: list[Callable[[Days], None]] = field(default_factory=list)
    always: list[Callable[[Days], None]] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    kill_after: int | None = None
    slow: float = 0.0
    repeats: int = 10
    """Every so many passes the decision is made a second time, and must be the same: each time would double
    what a seed costs, and whatever depends on more than its inputs shows within a few days."""

    def __post_init__(self) -> None:
        self.wanted_fleet = self.life.first_fleet()
        self.fleet_decided = self.wanted_fleet
        self.foreign: set[tuple[str, str]] = set()
        self.decision: Decision | None = None
        self.observed = ObservedState()
        self.ledger = Ledger()
        self.last: Pass | None = None
        self.digest = hashlib.sha256()
        self.simulation = Simulation(
            self.wanted_fleet,
            self.life.start,
            self.life.seed,
            brains=Brains(brain=self._decide),
            machines=partial(machine, self.life.seed),
            observer=self,
        )
        self.simulation.gather = self.life.choose.choice((0.02, 0.5, 1.0))

    # --- what invariants and lives look at

    @property
    def fleet(self) -> Fleet:
        return self.fleet_decided

    @fleet.setter
    def fleet(self, fleet: Fleet) -> None:
        self.wanted_fleet = self.fleet_decided = fleet
        self.simulation.repository.commit(fleet)

    @property
    def clock(self) -> VirtualClock:
        return self.simulation.clock

    @property
    def engines(self) -> Mapping[str, MemoryEngine]:
        return self.simulation.hosts.engines

    @property
    def registry(self) -> MemoryRegistry:
        return self.simulation.hosts.registry

    @property
    def writes(self) -> int:
        return sum(engine.writes for engine in self.engines.values())

    def add_foreign(self, host: str, name: str, labels: Mapping[str, str] | None = None) -> None:
        self.foreign.add((host, self.engines[host].add_foreign(name, labels)))

    # --- what the simulation tells

    def passed(self, last: Pass) -> None:
        self.last = last
        if last.decision is None or last.fleet is None:
            return
        self.decision, self.observed, self.fleet_decided = last.decision, last.observed, last.fleet
        self.ledger = last.decision.ledger
        self.tally.passes += 1
        told = (last.now.wall, last.decision.actions, last.decision.changes, last.decision.unplaced)
        self.digest.update(repr(told).encode())
        for invariant in self.invariants:
            invariant(self)
            self.tally.checks += 1

    def stepped(self) -> None:
        for invariant in self.always:
            invariant(self)
            self.tally.checks += 1

    def _decide(
        self, fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now, solver: Solver | None
    ) -> Decision:
        decision = self.brain(fleet, observed, ledger, now, solver)
        if self.tally.passes % self.repeats == 0:
            again = self.brain(fleet, observed, ledger, now, solver)
            assert repr(again) == repr(decision), "S16: the same inputs gave another decision"
            self.tally.checks += 1
        return decision

    # --- how it goes

    def storm(self) -> None:
        """The days, with all that happens in them."""
        self.simulation.run(60.0)
        self.life.plan(self)
        self.simulation.run(DAYS * 24 * HOUR)

    def silent(self) -> list[str]:
        views = self.observed.hosts.values()
        return [f"{one.name} is {one.state}" for one in views if one.state is not HostState.REACHABLE]
