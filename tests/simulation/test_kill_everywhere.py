"""The daemon dies after each single call to an Engine, and the fleet ends as if it had not."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest

from rota.core.model import Amount, Order, UpdateRules
from rota.engine.memory import ImageTraits
from tests import builders
from tests.simulation.invariants import (
    a_pinned_slot_runs_once,
    budgets_hold,
    differences,
    no_host_is_overbooked,
    only_what_is_seen_is_stopped,
    ours,
)
from tests.simulation.world import VirtualClock, World

STEP = 0.5
LONGEST = 120.0

UPDATE = UpdateRules(min_healthy_time=1.0, max_surge=Amount(value=1))
STOP_FIRST = replace(UPDATE, order=Order.STOP_FIRST)
FIRST = builders.fleet(
    [builders.host(f"h{number}") for number in range(3)],
    [
        builders.service("web", 3, update=UPDATE),
        builders.service(
            "db",
            2,
            container=builders.pinned("mysql:8"),
            spec_hash="v1:mysql:8",
            update=STOP_FIRST,
            max_unavailable=Amount(value=1),
        ),
    ],
)
SECOND = builders.fleet(
    list(FIRST.hosts.values()),
    [
        builders.service("web", 2, update=UPDATE, image="web:2"),
        builders.service(
            "db",
            2,
            container=builders.pinned("mysql:9"),
            spec_hash="v1:mysql:9",
            update=STOP_FIRST,
            max_unavailable=Amount(value=1),
        ),
        builders.service("late", 1, image="late:1"),
    ],
    revision="2" * 40,
)


def deploy(kill_after: int | None = None, *, arrives: float = 0.0, publishes: float = 1.0) -> World:
    """Deploy the first commit, then the second; the daemon is killed once, after call `kill_after`."""
    world = World(FIRST, VirtualClock(), publishes=publishes)
    for engine in world.engines.values():
        engine.traits = {
            "web:1": ImageTraits(healthy_after=0.3, stop_takes=0.7),
            "mysql:8": ImageTraits(stop_takes=0.7),
        }
    world.invariants += [
        a_pinned_slot_runs_once,
        budgets_hold,
        no_host_is_overbooked,
        only_what_is_seen_is_stopped,
    ]
    world.kill_after, world.arrives = kill_after, arrives
    for fleet in (FIRST, SECOND):
        world.fleet = fleet
        world.decide()
        world.run_until(_has_arrived, LONGEST, STEP)
    return world


def _has_arrived(world: World) -> bool:
    return world.decision is not None and not world.decision.changes and not differences(world)


def end_state(world: World) -> list[str]:
    """What runs in the end: how many of each spec of each slot, and where the data is."""
    found = Counter(
        f"{one.labels['rota.workload']}/{one.labels['rota.slot']} {one.labels['rota.spec']} {one.state}"
        for _, one in ours(world)
    )
    volumes = [f"{name}: {volume}" for name, engine in world.engines.items() for volume in engine.volumes]
    return [f"{count} {line}" for line, count in sorted(found.items())] + sorted(volumes)


WHOLE = deploy()
CALLS = WHOLE.tally.calls


def test_without_a_kill_the_rollout_ends_as_the_second_commit_asks() -> None:
    assert CALLS > 50
    assert WHOLE.tally.restarts == 0
    assert _what_counts(end_state(WHOLE)) == [
        "1 shop/any v1:web:2 running",
        "1 shop/any v1:web:2 running",
        "1 shop/db/0 v1:mysql:9 running",
        "1 shop/db/1 v1:mysql:9 running",
        "1 shop/late/0 v1:late:1 running",
        "any: shop.db.0.data",
        "any: shop.db.1.data",
    ]


def test_all_is_spread_evenly_and_data_stays_where_it_was_made() -> None:
    homes = {(one.labels["rota.workload"], one.labels["rota.slot"]): name for name, one in ours(WHOLE)}
    for workload in ("shop/db", "shop/web"):
        assert len({host for (one, _), host in homes.items() if one == workload}) == 2
    volumes = {volume: name for name, engine in WHOLE.engines.items() for volume in engine.volumes}
    assert volumes == {f"shop.db.{slot}.data": homes["shop/db", slot] for slot in "01"}


@pytest.mark.parametrize(
    ("arrives", "publishes"),
    [(0.0, 1.0), (1.0, 1.0), (0.5, 0.2)],
    ids=["calls-under-way-are-lost", "calls-under-way-arrive", "the-status-branch-lags"],
)
@pytest.mark.parametrize("call", range(1, CALLS + 1))
def test_killed_after_any_call_the_fleet_ends_the_same_and_nothing_is_doubled(
    call: int, arrives: float, publishes: float
) -> None:
    world = deploy(call, arrives=arrives, publishes=publishes)
    assert world.tally.restarts == 1
    assert _what_counts(end_state(world)) == _what_counts(end_state(WHOLE))
    writes = world.writes
    world.run(5.0, 1.0)
    assert world.writes == writes


def _what_counts(lines: list[str]) -> list[str]:
    """Which slot of `web` goes on the shrink is placement's choice, and so is the host of a volume whose
    pin was not recorded yet; that two are left, and each volume is there once, is not."""
    return sorted(re.sub(r"web/\d|^h\d", "any", line) for line in lines)
