"""Successors of several slots at once: each may have the place of its own predecessor, and of no other."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

import rota.exact
from rota.core.container import ContainerSpec, Port
from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.model import Amount, Order, Service, UpdateRules
from rota.core.observed import ContainerState
from rota.core.planning.actions import StartInstance
from rota.core.rules import Affinity, PlacementRules, Spread, Taint
from tests.builders import fleet, host, pinned, service
from tests.core.placement.course import Course
from tests.core.scenes import NOW, change_view, decide, refusals, running, seen

ALONE = PlacementRules(anti_affinity=(Affinity(workload=WorkloadId("shop", "web"), required=True),))
ONE_EACH = PlacementRules(max_per_host=1)


def rolled(rules: PlacementRules, surge: int) -> tuple[Service, Service]:
    """Two instances, and their next commit."""
    update = UpdateRules(min_healthy_time=1.0, max_surge=Amount(value=surge))
    old = service("web", 2, placement=rules, update=update)
    return old, replace(old, container=replace(old.container, image="web:2"), spec_hash="v1:web:2")


@pytest.mark.parametrize("rules", [ALONE, ONE_EACH], ids=["anti-affinity", "max-per-host"])
@pytest.mark.parametrize("surge", [1, 2])
def test_a_successor_does_not_go_where_another_slot_still_is(rules: PlacementRules, surge: int) -> None:
    """The host of the first takes nobody new: its successor must not join the second on the other host."""
    old, new = rolled(rules, surge)
    hosts = [host("a", taints=(Taint(key="old"),)), host("b")]
    of = fleet(hosts, [new], revision="2" * 40)
    course = Course(of, seen(of, running(old, 0, "a"), running(old, 1, "b")))
    course.settle()
    assert not course.final_problems()
    assert sorted((one.slot, one.host) for one in course.observed.containers()) == [(0, "a"), (1, "b")]


@pytest.mark.parametrize("state", [ContainerState.PENDING, ContainerState.CREATED, ContainerState.EXITED])
def test_a_fixed_port_is_taken_before_its_container_runs(state: ContainerState) -> None:
    """An Engine tells the ports only of what runs; who is about to run there has its port all the same."""
    ports = (Port(name="http", target=80, published=80),)
    edge = service("edge", 2, container=ContainerSpec(image="web:1", ports=ports))
    of = fleet([host("a")], [edge])
    first = running(edge, 0, "a", ready_for=None, state=state, ports=())
    pending = state is ContainerState.PENDING
    observed = seen(of, *(() if pending else (first,)))
    if pending:
        observed = change_view(observed, "a", pending=(first,))
    decision = decide(of, observed, Ledger(), NOW)
    assert [one.slot for one in decision.actions if isinstance(one, StartInstance)] == []
    assert refusals(decision) == ["edge x1 a: port: port 80/tcp is taken"]


# --- slots that hold volumes

ZONES_EVEN = PlacementRules(spread=(Spread(key="zone", hard=True),))


@pytest.mark.parametrize("exact", [False, True], ids=["greedy", "exact"])
@pytest.mark.parametrize(
    ("rules", "room_on_b", "pins", "refused"),
    [
        (ONE_EACH, 4000, ["a", "b"], {"maxPerHost": "ab"}),
        (ALONE, 4000, ["a", "b"], {"antiAffinity": "ab"}),
        (ZONES_EVEN, 500, ["a"], {"spread": "a", "cpu": "b"}),
    ],
    ids=["max-per-host", "anti-affinity", "zone-b-is-full"],
)
def test_slots_with_volumes_see_each_other(
    rules: PlacementRules, room_on_b: int, pins: list[str], refused: dict[str, str], exact: bool
) -> None:
    """Each is asked for by itself, and the rules hold for all of them together."""
    update = UpdateRules(order=Order.STOP_FIRST, min_healthy_time=1.0)
    web = service("web", 3, cpu=1000, container=pinned(), placement=rules, update=update)
    course = Course(
        fleet([host("a"), host("b", cpu=room_on_b)], [web]), solver=rota.exact.solver() if exact else None
    )
    first = course.step()
    decision = course.settle()
    assert sorted(first.ledger.pins.values()) == sorted(decision.ledger.pins.values()) == pins
    assert sorted(one.host for one in course.observed.containers()) == pins
    for each in (first, decision):
        assert [one.count for one in each.unplaced] == [3 - len(pins)]
        assert {one.filter: "".join(one.hosts) for one in each.unplaced[0].refusals} == refused
    assert not course.final_problems()


# --- thousands of slots

MANY = [host(f"h{at:03d}", cpu=16000, memory=65536, labels={"zone": "abc"[at % 3]}) for at in range(100)]


@pytest.mark.parametrize(
    ("before", "after", "seconds"), [(4000, 400, 3.0), (0, 10_000, 4.0)], ids=["release", "start"]
)
def test_thousands_of_slots_are_decided_in_seconds(before: int, after: int, seconds: float) -> None:
    web = service("web", after, cpu=10, memory=10)
    of = fleet(MANY, [web])
    observed = seen(of, *(running(web, slot, MANY[slot % 100].name) for slot in range(before)))
    began = time.process_time()
    decision = decide(of, observed, Ledger(), NOW)
    assert time.process_time() - began < seconds
    assert len(decision.changes) == abs(after - before)
    assert decision.unplaced == ()
