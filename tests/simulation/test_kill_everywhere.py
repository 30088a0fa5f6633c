"""The daemon dies after each single call to an Engine, and after each push, and the fleet ends as if it had
not: in a rollout, and in one during which a host is drained and another one lost."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest

from rota.core.container import Check, ContainerSpec, Port
from rota.core.model import Amount, Drain, Order, UpdateRules
from rota.engine.memory import ImageTraits
from tests import builders
from tests.simulation.convergence import CONVERGENCE, unfinished
from tests.simulation.invariants import (
    a_pinned_slot_runs_once,
    budgets_hold,
    differences,
    no_host_is_overbooked,
    only_what_is_seen_is_stopped,
    ours,
    unknown_loses_nothing,
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


def test_the_calls_of_a_rollout_include_every_kind() -> None:
    """Names are resolved, images prepared, volumes made, restart policies taken away."""
    looked_up = {"AskReference", "AskRegistry", "LookForImage", "Pull"}
    assert looked_up | {"CreateVolume", "Create", "Start", "SetRestarts", "Signal", "Remove"} <= WHOLE.kinds


# --- a rollout, a drain and a lost host at once

CHECKED = builders.service(
    "ping",
    2,
    container=ContainerSpec(image="ping:1", ports=(Port(name="http", target=8080),)),
    spec_hash="v1:ping:1",
    update=UPDATE,
    check=Check(port=8080, interval=1.0, timeout=0.5, rise=1),
)
BEFORE = builders.fleet(
    [builders.host(f"h{number}") for number in range(4)],
    [builders.service("web", 4, update=UPDATE), CHECKED],
)
AFTER = builders.fleet(
    [replace(one, drain=Drain() if one.name == "h1" else None) for one in BEFORE.hosts.values()],
    [builders.service("web", 4, update=UPDATE, image="web:2"), CHECKED],
    revision="2" * 40,
)
LOST_SECONDS = 15.0


def endure(
    kill_after: int | None = None, kill_after_push: int | None = None, *, arrives: float = 0.5
) -> World:
    """A new commit that renews the web servers and drains a host, while another host is cut off, and back
    after it was lost."""
    world = World(BEFORE, VirtualClock())
    world.invariants += [
        *CONVERGENCE,
        budgets_hold,
        no_host_is_overbooked,
        only_what_is_seen_is_stopped,
        unknown_loses_nothing,
    ]
    world.decide()
    world.run_until(_has_arrived, LONGEST, STEP)
    world.tally.calls = world.pushes = 0
    world.kill_after, world.kill_after_push, world.arrives = kill_after, kill_after_push, arrives
    world.fleet = AFTER
    world.engines["h2"].cut()
    world.run(LOST_SECONDS, STEP)
    world.engines["h2"].heal()
    world.run_until(_is_over, LONGEST, STEP)
    return world


def _is_over(world: World) -> bool:
    return _has_arrived(world) and not unfinished(world)


ENDURED = endure()


def test_without_a_kill_a_host_is_emptied_and_a_lost_one_settled() -> None:
    assert "AskPort" in ENDURED.kinds
    assert _by_workload(ENDURED) == {"shop/web v1:web:2": 4, "shop/ping v1:ping:1": 2}
    assert not [name for name, _ in ours(ENDURED) if name == "h1"]
    assert ENDURED.tally.restarts == 0


@pytest.mark.parametrize("call", range(1, ENDURED.tally.calls + 1))
def test_killed_after_any_call_while_hosts_are_drained_and_lost(call: int) -> None:
    world = endure(call)
    assert world.tally.restarts == 1
    assert _by_workload(world) == _by_workload(ENDURED)


@pytest.mark.parametrize("push", range(1, ENDURED.pushes + 1, 2))
def test_killed_after_a_push_while_hosts_are_drained_and_lost(push: int) -> None:
    world = endure(kill_after_push=push)
    assert world.tally.restarts == 1
    assert _by_workload(world) == _by_workload(ENDURED)


def _by_workload(world: World) -> Counter[str]:
    """How many run of each spec, and no slot twice: which slot is where is placement's choice."""
    slots = {
        (one.labels["rota.workload"], one.labels["rota.slot"], one.labels["rota.spec"])
        for _, one in ours(world)
        if one.state == "running"
    }
    assert len(slots) == len(list(ours(world)))
    return Counter(f"{workload} {spec}" for workload, _, spec in slots)
