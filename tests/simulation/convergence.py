"""What holds of convergence after every pass: of hosts that fail, singletons, causes, and at the end."""

from __future__ import annotations

from collections import Counter

from rota.core.model import Singleton
from rota.core.observed import HostState
from rota.core.planning.actions import StartInstance
from tests.simulation.invariants import RUNS, ours
from tests.simulation.world import World

TOGETHER_SECONDS = 60.0


def a_strict_singleton_runs_once(world: World) -> None:
    """Judged on the machines, those that do not answer included: nobody else could know of two."""
    strict = {str(one.id) for one in world.fleet.services.values() if one.singleton is Singleton.STRICT}
    running = Counter(
        one.labels["rota.workload"]
        for _, one in ours(world)
        if one.labels["rota.workload"] in strict and one.state in RUNS
    )
    assert all(count == 1 for count in running.values()), f"singleton: runs more than once: {running}"


def where_too_many_are_lost_nothing_is_replaced(world: World) -> None:
    """The brake: more than half of the hosts, two at least, lost within a minute, are not believed."""
    assert world.decision is not None
    dead = {one.target_name for one in world.fleet.overrides_in_force(world.clock.wall) if one.lost}
    lost = {
        name: view.since
        for name, view in world.observed.hosts.items()
        if view.state is HostState.LOST and name in world.fleet.hosts and name not in dead
    }
    if len(lost) < 2 or 2 * len(lost) <= len(world.fleet.hosts):
        return
    if max(lost.values()) - min(lost.values()) > TOGETHER_SECONDS:
        return
    theirs = {(one.workload, one.slot) for one in world.observed.containers() if one.host in lost}
    theirs -= {(one.workload, one.slot) for one in world.observed.containers() if one.host not in lost}
    replaced = [
        one.id
        for one in world.decision.actions
        if isinstance(one, StartInstance) and (one.workload, one.slot) in theirs
    ]
    assert not replaced, f"brake: {sorted(lost)} are lost, and {replaced} is done"


def every_action_has_a_cause(world: World) -> None:
    assert world.decision is not None
    without = [one.id for one in world.decision.actions if not one.cause]
    assert not without, f"cause: nobody knows why {without}"


CONVERGENCE = (
    a_strict_singleton_runs_once,
    where_too_many_are_lost_nothing_is_replaced,
    every_action_has_a_cause,
)


def unfinished(world: World) -> list[str]:
    """What is still open once everything was to have ended: rollouts, drains, the brake, failures."""
    decision = world.decision
    assert decision is not None
    ledger, found = decision.ledger, []
    for workload, service in world.fleet.services.items():
        good = ledger.good.get(workload)
        if decision.wants[workload].count and workload in ledger.rollouts:
            found.append(f"the rollout of {workload} to {ledger.rollouts[workload].spec} has not ended")
        elif decision.wants[workload].count and (good is None or good.spec != service.spec_hash):
            found.append(f"{workload} was never good as {service.spec_hash}")
    pinned = {one.id for one in world.fleet.services.values() if one.container.pinned}
    for name, one in ours(world):
        if name in ledger.drains and all(str(each) != one.labels["rota.workload"] for each in pinned):
            found.append(f"{one.name} is on {name}, which is drained")
    return [*found, *([decision.brake] if decision.brake else [])]
