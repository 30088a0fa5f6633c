"""The invariants of convergence themselves: each catches the bug that is planted for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rota.core.decide import Decision, decide
from rota.core.ledger import Ledger
from rota.core.model import Amount, Drain, Fleet, Singleton
from rota.core.observed import Now, ObservedState
from rota.core.planning.actions import StartInstance, stop_of
from tests import builders
from tests.simulation.convergence import (
    a_strict_singleton_runs_once,
    every_action_has_a_cause,
    unfinished,
    where_too_many_are_lost_nothing_is_replaced,
)
from tests.simulation.invariants import budgets_hold, only_what_is_seen_is_stopped, unknown_loses_nothing
from tests.simulation.world import Decide, VirtualClock, World

STEP = 0.25
INVARIANTS = (
    a_strict_singleton_runs_once,
    where_too_many_are_lost_nothing_is_replaced,
    every_action_has_a_cause,
    budgets_hold,
    unknown_loses_nothing,
    only_what_is_seen_is_stopped,
)


def small(hosts: int = 3) -> Fleet:
    services = [builders.service("web", 6), builders.service("sole", singleton=Singleton.STRICT)]
    return builders.fleet([builders.host(f"h{number}") for number in range(hosts)], services)


def starts(decision: Decision) -> list[StartInstance]:
    return [one for one in decision.actions if isinstance(one, StartInstance)]


def sole_twice(fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now) -> Decision:
    """Planted: what must run once is started on the host after its own as well."""
    decision = decide(fleet, observed, ledger, now)
    copies = [
        replace(one, host=f"h{(int(one.host[1:]) + 1) % 3}")
        for one in starts(decision)
        if one.workload.name == "sole"
    ]
    return replace(decision, actions=(*decision.actions, *copies))


def without_a_brake(fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now) -> Decision:
    """Planted: every loss is believed."""
    failure = replace(fleet.failure, brake=Amount(value=100, percent=True))
    return decide(replace(fleet, failure=failure), observed, replace(ledger, braked=False), now)


def without_causes(fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now) -> Decision:
    decision = decide(fleet, observed, ledger, now)
    return replace(decision, actions=tuple(replace(one, cause="") for one in decision.actions))


def too_many(fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now) -> Decision:
    """Planted: for each slot that is missing, two are started."""
    decision = decide(fleet, observed, ledger, now)
    copies = [replace(one, slot=one.slot + 100, name=f"{one.name}.copy") for one in starts(decision)]
    return replace(decision, actions=(*decision.actions, *copies))


def without_surge(fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now) -> Decision:
    """Planted: everything is replaced at once."""
    web = fleet.services[builders.service("web").id]
    boundless = replace(web, update=replace(web.update, max_surge=Amount(value=100, percent=True)))
    return decide(replace(fleet, services={**fleet.services, web.id: boundless}), observed, ledger, now)


def stops_what_is_lost(fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now) -> Decision:
    """Planted: what a host that does not answer had is stopped there."""
    decision = decide(fleet, observed, ledger, now)
    silent = {name for name, view in observed.hosts.items() if view.state.value in ("suspect", "lost")}
    stops = [stop_of(one, "planted") for one in observed.containers() if one.host in silent]
    return replace(decision, actions=(*decision.actions, *stops))


def nothing(world: World) -> None:
    pass


def cut_two(world: World) -> None:
    world.engines["h1"].cut()
    world.engines["h2"].cut()


def cut_one(world: World) -> None:
    world.engines["h1"].cut()


def renew(world: World) -> None:
    web = world.fleet.services[builders.service("web").id]
    services = {**world.fleet.services, web.id: replace(web, spec_hash="v1:web:2")}
    world.fleet = replace(world.fleet, services=services, revision="2" * 40)


@pytest.mark.parametrize(
    ("brain", "happens", "invariant", "caught"),
    [
        (sole_twice, nothing, a_strict_singleton_runs_once, "singleton: runs more than once"),
        (without_a_brake, cut_two, where_too_many_are_lost_nothing_is_replaced, "brake: .* are lost, and"),
        (without_causes, nothing, every_action_has_a_cause, "cause: nobody knows why"),
        (too_many, nothing, budgets_hold, "S6: shop/.* starts more than"),
        (without_surge, renew, budgets_hold, "S6: shop/web has 6, starts 6, at most 8"),
        (stops_what_is_lost, cut_one, unknown_loses_nothing, "S3: stop"),
    ],
)
def test_a_planted_bug_is_caught(
    brain: Decide, happens: Callable[[World], None], invariant: Callable[[World], None], caught: str
) -> None:
    world = World(small(), VirtualClock(), brain=brain)
    world.invariants.append(invariant)
    with pytest.raises(AssertionError, match=caught):
        world.run(10.0, STEP)
        happens(world)
        world.run(20.0, STEP)


@pytest.mark.parametrize("happens", [nothing, cut_two, cut_one, renew])
def test_without_a_planted_bug_nothing_is_caught(happens: Callable[[World], None]) -> None:
    world = World(small(), VirtualClock())
    world.invariants += INVARIANTS
    world.run(10.0, STEP)
    happens(world)
    world.run(20.0, STEP)
    for engine in world.engines.values():
        engine.heal()
    world.run(20.0, STEP)
    assert unfinished(world) == []


# --- what is told of what has not ended


def test_a_rollout_that_does_not_end_is_told() -> None:
    world = World(small(), VirtualClock(), brain=idle)
    world.run(5.0, STEP)
    assert "the rollout of shop/web to v1:web:1 has not ended" in unfinished(world)


def test_a_spec_that_was_never_good_is_told() -> None:
    world = World(small(), VirtualClock())
    world.run(10.0, STEP)
    decision = world.decision
    assert decision is not None
    world.decision = replace(decision, ledger=replace(decision.ledger, good={}))
    assert "shop/web was never good as v1:web:1" in unfinished(world)


def test_a_drained_host_that_is_not_empty_is_told() -> None:
    world = World(small(), VirtualClock())
    world.run(10.0, STEP)
    world.brain = idle
    hosts = {**world.fleet.hosts, "h1": replace(world.fleet.hosts["h1"], drain=Drain())}
    world.fleet = replace(world.fleet, hosts=hosts, revision="2" * 40)
    world.run(5.0, STEP)
    assert any(one.endswith(" is on h1, which is drained") for one in unfinished(world))


def test_a_brake_that_is_still_on_is_told() -> None:
    world = World(small(), VirtualClock())
    world.run(10.0, STEP)
    cut_two(world)
    world.run(20.0, STEP)
    assert any("Rather this operator is cut off" in one for one in unfinished(world))


def idle(fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now) -> Decision:
    """Planted: nothing is ever done."""
    return replace(decide(fleet, observed, ledger, now), actions=())
