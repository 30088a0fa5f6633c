"""The forecast of a large fleet, beside what there is without one: a decision for each minute of the day.

500 hosts and about 10,000 instances of 200 workloads; three policies, so that a day has six edges, each with
its lead. Nothing is observed beforehand: the first instant starts everything.
"""

from __future__ import annotations

import random
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from benchmarks.figures import Figures, timed
from rota.core.container import ContainerSpec
from rota.core.decide import decide
from rota.core.forecast.days import stretch
from rota.core.forecast.settle import Player, Snapshot
from rota.core.forecast.walk import forecast, losses_for
from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.model import Amount, CapacityPolicy, Fleet, Host, Service, Weekly, Window
from rota.core.observed import HostState, HostView, Now, ObservedState
from rota.core.resources import Resources

HOSTS, WORKLOADS, INSTANCES = 500, 200, 10_000
BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = date(2026, 6, 1)
WINDOWS = ((time(7), time(20)), (time(8), time(18, 30)), (time(22), time(4)))
MINUTES_A_DAY = 24 * 60
SAMPLED = 10
RUNS = 3
MIB, GIB = 1 << 20, 1 << 30


def forecasts(figures: Figures) -> None:
    """A day and a week, without and with the losses of hosts, and a decision for each minute."""
    fleet = _fleet(random.Random(1))
    hosts = {name: HostView(name=name, state=HostState.REACHABLE) for name in fleet.hosts}
    begin = Snapshot(observed=ObservedState(hosts=hosts), ledger=Ledger())
    day, week = stretch(MONDAY, 1, BERLIN), stretch(MONDAY, 7, BERLIN)
    made = forecast(fleet, begin, day)
    instants = f"{len(made.instants)} instants"
    figures.row(
        f"forecast of a day, {HOSTS} hosts, {INSTANCES:,} instances, {instants}",
        [timed(lambda: forecast(fleet, begin, day)) for _ in range(RUNS)],
        "s",
        "2 s",
    )
    figures.row(
        f"the same, {losses_for(fleet)} losses of a host played through at each instant",
        [timed(lambda: forecast(fleet, begin, day, losses=losses_for(fleet))) for _ in range(RUNS)],
        "s",
        "10 s",
    )
    figures.row("forecast of a week", [timed(lambda: forecast(fleet, begin, week))], "s", "10 s")
    settled = Player(fleet).settle(begin, Now(wall=day[0], mono=0.0)).snapshot
    figures.row(
        f"a decision for each minute of the day, from {SAMPLED} of {MINUTES_A_DAY:,}",
        [_minutes(fleet, settled, day[0]) / SAMPLED * MINUTES_A_DAY],
        "s",
    )


def _minutes(fleet: Fleet, settled: Snapshot, start: datetime) -> float:
    """How long decisions about a fleet at rest take, one for each of a few minutes."""

    def decided() -> None:
        for minute in range(SAMPLED):
            now = Now(wall=start + timedelta(minutes=minute), mono=60.0 * minute)
            decide(fleet, settled.observed, settled.ledger, now)

    return timed(decided)


def _fleet(chance: random.Random) -> Fleet:
    services = [_service(number, chance) for number in range(WORKLOADS)]
    policies = []
    for number, (start, end) in enumerate(WINDOWS):
        mine = services[number :: len(WINDOWS)]
        wanted = {
            one.id: Amount(value=max(one.replicas * (1 + 2 * (at % 2)) // 2, 1))
            for at, one in enumerate(mine)
        }
        window = Window(
            name=f"window-{number}",
            hours=Weekly(days=frozenset(range(7)), start=start, end=end),
            replicas=wanted,
        )
        policies.append(
            CapacityPolicy(
                namespace="bench",
                name=f"policy-{number}",
                zone=BERLIN,
                base={one.id: Amount(value=one.replicas) for one in mine},
                windows=(window,),
            )
        )
    hosts = [_host(number, chance) for number in range(HOSTS)]
    return Fleet(
        name="bench",
        uid="0badcafe",
        hosts={one.name: one for one in hosts},
        services={one.id: one for one in services},
        policies=tuple(policies),
    )


def _host(number: int, chance: random.Random) -> Host:
    name = f"h{number:03}"
    return Host(
        name=name,
        endpoint=f"tcp://{name}:2376",
        address=name,
        labels={"zone": "abc"[number % 3]},
        cpu=chance.choice((16, 32, 64)) * 1000,
        memory=chance.choice((64, 128)) * GIB,
    )


def _service(number: int, chance: random.Random) -> Service:
    return Service(
        id=WorkloadId("bench", f"w{number:03}"),
        replicas=max(int(INSTANCES / WORKLOADS * chance.choice((0.2, 0.5, 1, 1, 1.5, 1.8))), 1),
        container=ContainerSpec(image="bench:1"),
        requests=Resources(
            cpu=chance.choice((200, 500, 800, 1000)), memory=chance.choice((512, 1024, 2048)) * MIB
        ),
        spec_hash="v1:bench",
        priority=chance.choice((50, 100, 200)),
    )
