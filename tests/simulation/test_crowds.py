"""Crowded fleets under fire: every rule of placement at once, and not enough room for everything.

`ROTA_CROWDS=7,8` runs those seeds instead of the usual ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from rota.core.container import ContainerSpec, Port
from rota.core.decide import Decision, decide
from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.model import Fill, Fleet, Quota, Service
from rota.core.observed import HostState, Now, ObservedState
from rota.core.planning.actions import StartInstance
from rota.core.planning.waits import WaitReason
from rota.core.rules import Affinity, Effect, Operator, PlacementRules, Requirement, Spread, Taint
from tests import builders
from tests.simulation.crowds import CrowdedLife
from tests.simulation.order import (
    Restless,
    no_host_is_over_any_capacity,
    quotas_hold,
    unsettled,
    what_fills_stays_within_its_bounds,
    what_starts_may_stand_where_it_starts,
)
from tests.simulation.test_fleets import STEP, Run
from tests.simulation.world import Decide, Tally, VirtualClock, World

SEEDS = [int(text) for text in os.environ.get("ROTA_CROWDS", "").split(",") if text] or list(range(16))
MOST_MOVES = 3
"""So often one instance moves by choice after the last change."""
MOST_STARTS = 6
"""So often one slot is started after it: a new image, a repair, a faulty start, room made for others."""
FINAL = (WaitReason.NO_SEAT, WaitReason.NO_ROOM_FOR_SURGE, WaitReason.BUDGET)
"""What a change may wait for in the end."""


RULES = (
    no_host_is_over_any_capacity,
    what_starts_may_stand_where_it_starts,
    what_fills_stays_within_its_bounds,
    quotas_hold,
)


class CrowdedRun(Run):
    def __init__(self, seed: int, brain: Decide = decide) -> None:
        super().__init__(seed, brain, CrowdedLife(seed))
        self.restless = Restless()
        self.world.invariants += [*RULES, self.restless]

    def calm(self) -> float:
        self.restless.forget()
        return super().calm()

    def missing(self) -> list[str]:
        decision = self.world.decision
        assert decision is not None
        waiting = [str(one) for one in decision.changes if not one.waits_for(*FINAL)]
        views = self.world.observed.hosts.values()
        silent = [f"{one.name} is {one.state}" for one in views if one.state is not HostState.REACHABLE]
        return [*silent, *(one.id for one in decision.actions), *waiting, *unsettled(self.world)]


@pytest.fixture(scope="module")
def total() -> Iterator[Tally]:
    tally = Tally()
    yield tally
    print(
        f"\ncrowds: {len(SEEDS)} seeds, {tally.passes} passes, {tally.checks} checks, "
        f"{tally.calls} calls, {tally.restarts} restarts of the daemon"
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_a_crowded_fleet_under_fire_keeps_every_rule_and_comes_to_rest(seed: int, total: Tally) -> None:
    run = CrowdedRun(seed)
    run.storm()
    run.calm()
    assert run.rest() == 0
    assert run.restless.ping_pong(MOST_MOVES, MOST_STARTS) == []
    total.add(run.world.tally)


# --- the invariants themselves: each catches the bug that is planted for it


def small(
    *services: Service, hosts: int = 3, fills: dict[str, Fill] | None = None, **fields: object
) -> Fleet:
    """Hosts in zones a, b and c, the first of them tainted, the second with an SSD; the others have a GPU."""
    of = [
        builders.host("h0", memory=2048, labels={"zone": "a"}, taints=(Taint(key="old"),)),
        builders.host("h1", memory=2048, labels={"zone": "b", "disk": "ssd"}, resources=(("gpu", 1),)),
        builders.host("h2", memory=2048, labels={"zone": "c"}, resources=(("gpu", 1),)),
    ]
    base = {WorkloadId("shop", name): fill for name, fill in (fills or {}).items()}
    made = builders.fleet(of[:hosts], list(services), (builders.policy(base=base),))
    return replace(made, **fields)  # type: ignore[arg-type]


def all_on(name: str) -> Decide:
    """Planted: whatever starts, it starts on one host."""

    def brain(fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now) -> Decision:
        decision = decide(fleet, observed, ledger, now)
        starts = (
            replace(one, host=name) if isinstance(one, StartInstance) else one for one in decision.actions
        )
        changes = (replace(one, host=name) for one in decision.changes)
        return replace(decision, actions=tuple(starts), changes=tuple(changes))

    return brain


def boundless(fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now) -> Decision:
    """Planted: neither quotas nor the bounds of what fills nor the moves of this hour are known."""
    fills = {key: Fill() for policy in fleet.policies for key in policy.base}
    policies = tuple(replace(policy, base=fills) for policy in fleet.policies)
    free = replace(fleet, quotas=(), policies=policies, max_moves_per_hour=1000)
    return decide(free, observed, replace(ledger, moves_begun=()), now)


def restless_brain(cause: str) -> Decide:
    """Planted: every few seconds another host is to be empty; its instances move for `cause`."""

    def brain(fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now) -> Decision:
        drained = f"h{1 + int(now.mono) // 4 % 2}"
        taint = Taint(key="planted", effect=Effect.NO_EXECUTE)
        host = replace(fleet.hosts[drained], taints=(taint,))
        decision = decide(replace(fleet, hosts={**fleet.hosts, drained: host}), observed, ledger, now)
        told = (
            replace(one, cause=cause) if cause and isinstance(one, StartInstance) else one
            for one in decision.actions
        )
        return replace(decision, actions=tuple(told))

    return brain


def secretive(fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now) -> Decision:
    """Planted: what has no place is not told."""
    return replace(decide(fleet, observed, ledger, now), unplaced=())


def ruled(count: int = 2, **fields: object) -> Service:
    return builders.service("web", count, placement=replace(PlacementRules(), **fields))  # type: ignore[arg-type]


def to(name: str, scope: str = "host") -> tuple[Affinity, ...]:
    return (Affinity(workload=WorkloadId("shop", name), scope=scope, required=True),)


API = builders.service("api", 1)
SSD = (Requirement(key="disk", operator=Operator.EXISTS),)
EVEN = (Spread(key="zone", max_skew=1, hard=True),)
PORT = ContainerSpec(image="web:1", ports=(Port(name="http", target=80, published=80),))
GPU_ONLY = replace(API, replicas=2, requests=replace(API.requests, extended=(("gpu", 1),)))
BIG = builders.service("web", 3, memory=1024)

filters = what_starts_may_stand_where_it_starts
PLANTED = [
    ("memory", all_on("h1"), small(BIG), no_host_is_over_any_capacity, "capacity: h1 has"),
    ("gpu", all_on("h1"), small(GPU_ONLY), no_host_is_over_any_capacity, "gpu"),
    ("port", all_on("h1"), small(builders.service("web", 2, container=PORT)), filters, "port is used 2"),
    ("taint", all_on("h0"), small(ruled()), filters, "h0, which is not eligible"),
    ("selector", all_on("h2"), small(ruled(host_selector=SSD)), filters, "h2, which is not"),
    ("max", all_on("h1"), small(ruled(max_per_host=1)), filters, "maxPerHost"),
    ("alone", all_on("h1"), small(ruled(anti_affinity=to("web"))), filters, "beside shop/web"),
    (
        "apart",
        all_on("h1"),
        small(ruled(anti_affinity=to("api")), API),
        filters,
        "api on h1 beside shop/web",
    ),
    ("even", all_on("h1"), small(ruled(spread=EVEN)), filters, "uneven"),
    ("fill", boundless, small(API, fills={"api": Fill(max=2)}), what_fills_stays_within_its_bounds, "fill: "),
    (
        "quota",
        boundless,
        small(ruled(5), quotas=(Quota(namespace="shop", name="q", hard={"instances": 4}),)),
        quotas_hold,
        "quota: shop/q has 5 of 4",
    ),
    ("moves", restless_brain("spread: "), small(ruled(4), max_moves_per_hour=1), Restless(), "moves: "),
]


@pytest.mark.parametrize(
    ("brain", "fleet", "invariant", "caught"), [row[1:] for row in PLANTED], ids=[row[0] for row in PLANTED]
)
def test_a_planted_bug_is_caught(
    brain: Decide, fleet: Fleet, invariant: Callable[[World], None], caught: str
) -> None:
    world = World(fleet, VirtualClock(), brain=brain)
    world.invariants.append(invariant)
    with pytest.raises(AssertionError, match=caught):
        world.run(20.0, STEP)


def test_a_start_far_from_whom_it_must_be_near_is_caught() -> None:
    """Planted: the follower goes to another host than its partner."""

    def brain(fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now) -> Decision:
        decision = decide(fleet, observed, ledger, now)
        apart = {"api": "h1", "web": "h2"}
        moved = (
            replace(one, host=apart[one.workload.name]) if isinstance(one, StartInstance) else one
            for one in decision.actions
        )
        return replace(decision, actions=tuple(moved))

    world = World(small(ruled(affinity=to("api")), API), VirtualClock(), brain=brain)
    world.invariants.append(filters)
    with pytest.raises(AssertionError, match="web on h2 without shop/api"):
        world.run(20.0, STEP)


@pytest.mark.parametrize(("cause", "words"), [("", "started"), ("spread: planted", "moved")])
def test_a_fleet_that_does_not_come_to_rest_is_caught(cause: str, words: str) -> None:
    world, restless = World(small(ruled(4)), VirtualClock(), brain=restless_brain(cause)), Restless()
    world.invariants.append(restless)
    world.run(60.0, STEP)
    assert any(words in line for line in restless.ping_pong(MOST_MOVES, MOST_STARTS))


def test_what_has_no_place_and_is_not_told_is_caught() -> None:
    for brain, caught in ((decide, []), (secretive, ["web: 2 + 0 unplaced of 3"])):
        world = World(small(BIG, hosts=2), VirtualClock(), brain=brain)
        world.run(10.0, STEP)
        assert unsettled(world) == caught


@pytest.mark.parametrize("fleet", [row[2] for row in PLANTED], ids=[row[0] for row in PLANTED])
def test_without_a_planted_bug_the_same_fleet_is_at_peace(fleet: Fleet) -> None:
    world, restless = World(fleet, VirtualClock()), Restless()
    world.invariants += [*RULES, restless]
    world.run(10.0, STEP)
    assert unsettled(world) == []
    assert restless.ping_pong(0, 1) == []
