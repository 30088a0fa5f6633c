"""One simulation from beginning to end: the fleet starts, faults come and go, what was seen is reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rota.core.model import Fleet
from rota.core.observed import EngineFacts
from rota.core.placement.puzzle import Solver
from rota.simulation.driver import Brains, Simulation
from rota.simulation.report import SimulationReport
from rota.simulation.times import Times, machines
from rota.simulation.watcher import Watcher

WARM_UP_SECONDS = 3600.0
"""So long before the beginning the fleet is started, from nothing; long enough for pulls and health."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A host is down from `at` for `seconds`, None: to the end. Then it starts again, and what ran there."""

    host: str
    at: datetime
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What to simulate. `known` are Engines as they were seen last, for hosts that declare no capacity."""

    fleet: Fleet
    start: datetime
    end: datetime
    zone: ZoneInfo
    seed: int = 1
    times: Times = field(default_factory=Times)
    faults: tuple[Fault, ...] = ()
    known: Mapping[str, EngineFacts] = field(default_factory=dict)
    solver: Solver | None = None


def simulate(setup: Setup, progress: Callable[[datetime], None] | None = None) -> SimulationReport:
    """Play it through. `progress` is told of every instant."""
    watcher = Watcher(setup.zone, progress)
    simulation = Simulation(
        setup.fleet,
        setup.start - timedelta(seconds=WARM_UP_SECONDS),
        setup.seed,
        brains=Brains(solver=setup.solver),
        machines=machines(setup.fleet, setup.times, setup.seed, setup.known),
        observer=watcher,
    )
    simulation.run(WARM_UP_SECONDS)
    watcher.begin(simulation)
    down: Counter[str] = Counter()
    for fault in setup.faults:
        _plan(fault, setup.start, simulation, watcher, down)
    simulation.run((setup.end - setup.start).total_seconds())
    return watcher.report(setup.seed)


def _plan(
    fault: Fault, start: datetime, simulation: Simulation, watcher: Watcher, down: Counter[str]
) -> None:
    """Have a fault happen and end. `down` counts those that hold a host down, for they may overlap."""

    def fail() -> None:
        down[fault.host] += 1
        simulation.hosts.engines[fault.host].cut()
        watcher.fails(fault.host)

    def recover() -> None:
        down[fault.host] -= 1
        if not down[fault.host]:
            engine = simulation.hosts.engines[fault.host]
            engine.crash_and_restart()
            engine.heal()
            watcher.recovers(fault.host)

    begins = (fault.at - start).total_seconds()
    simulation.at(begins, fail)
    if fault.seconds is not None:
        simulation.at(begins + fault.seconds, recover)
