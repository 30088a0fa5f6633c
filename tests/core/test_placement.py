"""Where instances go, and what every host says that refuses one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rota.core.container import ContainerSpec, Port
from rota.core.decide import Decision, decide
from rota.core.ids import WorkloadId
from rota.core.ledger import Failure, Ledger
from rota.core.model import Fleet
from rota.core.observed import ObservedContainer, PublishedPort
from rota.core.resources import Resources
from rota.core.rules import Operator, PlacementRules, Requirement, Strategy, Taint, Toleration
from tests import builders
from tests.builders import MEBIBYTE, fleet, host, service
from tests.core.scenes import (
    NOW,
    actions,
    change_view,
    changes,
    homes,
    later,
    refusals,
    running,
    seen,
    settle,
)


def first(
    of: Fleet, *containers: ObservedContainer, ledger: Ledger | None = None, silent: str = ""
) -> Decision:
    return decide(of, seen(of, *containers, silent=silent), ledger or Ledger(), NOW)


def rules(**fields: object) -> PlacementRules:
    return replace(PlacementRules(), **fields)  # type: ignore[arg-type]


SSD = Requirement(key="disk", operator=Operator.IN, values=("ssd",))
EDGE_PORT = ContainerSpec(image="web:1", ports=(Port(name="http", target=80, published=8080),))


# --- ranking


def test_a_first_placement_spreads_over_zones_then_hosts() -> None:
    hosts = [host(name, labels={"zone": name[0]}) for name in ("a1", "a2", "a3", "b1")]
    observed, _, _ = settle(fleet(hosts, [service("web", 6)]))
    assert homes(observed, "web") == {"a1": 1, "a2": 1, "a3": 1, "b1": 3}


def test_a_first_placement_fills_the_least_loaded_of_equal_hosts() -> None:
    big, web = service("big", 1, cpu=2000), service("web", 1)
    of = fleet([host("a", labels={}), host("b", labels={})], [big, web])
    decision = first(of, running(big, 0, "a"))
    assert actions(decision) == ["start web/0 on b v1:web:1"]


def test_pack_fills_one_host_before_the_next() -> None:
    pool = service("pool", 6, cpu=1000, placement=rules(strategy=Strategy.PACK))
    observed, _, _ = settle(fleet([host("a"), host("b"), host("c")], [pool]))
    assert sorted(homes(observed, "pool").values()) == [2, 4]


def test_placement_goes_by_priority_then_size_then_name() -> None:
    small = {"cpu": 2000, "memory": 100}
    of = fleet(
        [host("a")],
        [
            service("a-low", 1, priority=1, **small),
            service("b-small", 1, **small),
            service("c-big", 1, cpu=2000, memory=200),
            service("d-high", 1, priority=200, **small),
        ],
    )
    assert actions(first(of)) == ["start d-high/0 on a v1:web:1", "start c-big/0 on a v1:web:1"]


def test_the_order_of_hosts_and_services_in_the_commit_does_not_matter() -> None:
    hosts = [host(name) for name in "abcd"]
    services = [service(name, 3) for name in ("web", "api", "pool")]
    there, back = fleet(hosts, services), fleet(hosts[::-1], services[::-1])
    containers = [running(services[0], slot, "a") for slot in range(5)]
    one = decide(there, seen(there, *containers), Ledger(), NOW)
    other = decide(back, seen(back, *containers[::-1]), Ledger(), NOW)
    assert one == other


# --- who refuses, and in which words


def refused(of: Fleet, *containers: ObservedContainer, **fields: object) -> list[str]:
    return refusals(first(of, *containers, **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cpu", "memory", "expected"),
    [
        (5000, 128, "web x1 a: cpu: cpu short by 1000m"),
        (100, 6144, "web x1 a: memory: memory short by 2Gi"),
        (100, 4097, "web x1 a: memory: memory short by 1Mi"),
        (4500, 5120, "web x1 a: cpu: cpu short by 500m, memory short by 1Gi"),
    ],
)
def test_too_little_room_is_refused_with_what_is_missing(cpu: int, memory: int, expected: str) -> None:
    assert refused(fleet([host("a")], [service("web", cpu=cpu, memory=memory)])) == [expected]


def test_what_is_reserved_is_not_given_away() -> None:
    tight = host("a", reserved=Resources(cpu=3950, memory=0))
    assert refused(fleet([tight], [service("web")])) == ["web x1 a: cpu: cpu short by 50m"]


def test_memory_is_the_smaller_of_declared_and_reported() -> None:
    of = fleet([host("a", memory=1 << 21)], [service("web", memory=1 << 20)])
    observed = seen(of)
    engine = observed.hosts["a"].engine
    assert engine is not None
    tight = change_view(observed, "a", engine=replace(engine, memory=512 * MEBIBYTE))
    assert refusals(decide(of, tight, Ledger(), NOW)) == ["web x1 a: memory: memory short by 1048064Mi"]


def test_a_host_of_unknown_capacity_gets_nothing() -> None:
    of = fleet([host("a")], [service("web")])
    bare = replace(of, hosts={"a": replace(of.hosts["a"], cpu=None, memory=None)})
    observed = change_view(seen(bare), "a", engine=None)
    assert refusals(decide(bare, observed, Ledger(), NOW)) == [
        "web x1 a: capacity: capacity unknown: the Engine was not seen yet and the Host declares none"
    ]


def test_max_per_host_leaves_the_rest_unplaced_with_the_numbers() -> None:
    web = service("web", 5, placement=rules(max_per_host=2))
    decision = first(fleet([host("a"), host("b")], [web]))
    assert sorted(action.split()[3] for action in actions(decision)) == ["a", "a", "b", "b"]
    assert refusals(decision) == [
        "web x1 a: maxPerHost: already has 2, maxPerHost is 2",
        "web x1 b: maxPerHost: already has 2, maxPerHost is 2",
    ]


def test_max_per_host_does_not_count_the_predecessor_of_the_same_slot() -> None:
    old = service("web", 1, placement=rules(max_per_host=1))
    new = service("web", 1, placement=rules(max_per_host=1), image="web:2")
    decision = first(fleet([host("a")], [new], revision="2" * 40), running(old, 0, "a"))
    assert actions(decision) == ["start web/0 on a v1:web:2"]


def test_the_selector_admits_only_hosts_that_meet_it() -> None:
    hosts = [host("a"), host("b", labels={"disk": "ssd"})]
    of = fleet(hosts, [service("web", 2, placement=rules(host_selector=(SSD,)))])
    assert actions(first(of)) == ["start web/0 on b v1:web:1", "start web/1 on b v1:web:1"]
    assert refused(replace(of, hosts={"a": hosts[0]})) == [
        "web x2 a: hostSelector: label disk=ssd is not met"
    ]


def test_a_taint_keeps_off_who_does_not_tolerate_it() -> None:
    tainted = host("a", taints=(Taint(key="gpu", value="true"),))
    assert refused(fleet([tainted], [service("web")])) == ["web x1 a: taint: taint gpu=true is not tolerated"]
    tolerant = service("web", placement=rules(tolerations=(Toleration(key="gpu"),)))
    assert actions(first(fleet([tainted], [tolerant]))) == ["start web/0 on a v1:web:1"]


def test_a_new_taint_moves_nothing_that_runs() -> None:
    web = service("web")
    of = fleet([host("a", taints=(Taint(key="gpu"),)), host("b")], [web])
    assert changes(first(of, running(web, 0, "a"))) == []


def test_a_cordon_keeps_what_runs_and_refuses_what_comes() -> None:
    web = service("web", 2)
    of = fleet([host("a", unschedulable=True)], [web])
    decision = first(of, running(web, 0, "a"))
    assert changes(decision) == ["start web/1 - > -: commit 1111111 [no host admits it]"]
    assert refusals(decision) == ["web x1 a: unschedulable: cordoned by its manifest"]


def test_a_host_that_does_not_answer_gets_nothing_and_says_why() -> None:
    of = fleet([host("a")], [service("web")])
    assert refused(of, silent="a") == ["web x1 a: state: suspect: no answer"]


def test_a_host_backs_off_after_failed_starts() -> None:
    of = fleet([host("a")], [service("web")])
    failure = Failure(count=3, until=NOW.mono + 4, message="no such image")
    ledger = Ledger(failures={(WorkloadId("shop", "web"), "a", "v1:web:1"): failure})
    decision = first(of, ledger=ledger)
    assert refusals(decision) == ["web x1 a: backOff: backing off after 3 failed starts: no such image"]
    assert decision.requeue_after == 4
    assert actions(decide(of, seen(of), ledger, later(4))) == ["start web/0 on a v1:web:1"]


# --- ports


def test_a_fixed_port_is_given_once_per_host() -> None:
    of = fleet([host("a"), host("b")], [service("web", 3, container=EDGE_PORT)])
    decision = first(of)
    assert sorted(action.split()[3] for action in actions(decision)) == ["a", "b"]
    assert refusals(decision) == [
        "web x1 a: port: port 8080/tcp is taken",
        "web x1 b: port: port 8080/tcp is taken",
    ]


def test_the_same_port_of_another_protocol_is_free() -> None:
    udp = ContainerSpec(image="dns:1", ports=(Port(name="dns", target=53, protocol="udp", published=8080),))
    of = fleet([host("a")], [service("dns", container=udp), service("web", container=EDGE_PORT)])
    assert len(actions(first(of))) == 2


def test_a_port_in_use_by_what_is_stopping_is_taken_until_it_is_gone() -> None:
    web, gone = service("web", container=EDGE_PORT), service("gone")
    of = fleet([host("a")], [web])
    leaver = running(gone, 0, "a", ports=(PublishedPort(80, 8080),))
    observed = change_view(seen(of, leaver), "a", stopping=frozenset({leaver.id}))
    assert changes(decide(of, observed, Ledger(), NOW)) == [
        "start web/0 - > a: commit 1111111 [room on a is being freed]"
    ]


def test_assigned_ports_of_one_host_are_all_different() -> None:
    observed, _, _ = settle(fleet([host("a")], [service("web", 18), service("api", 12)]))
    ports = [port.published for one in observed.containers() for port in one.ports]
    assert len(ports) == len(set(ports)) == 30


# --- pinned volumes


def test_a_slot_is_pinned_before_it_is_started_and_goes_to_its_volumes_ever_after() -> None:
    db = service("db", 1, container=builders.pinned(), spec_hash="v1:db")
    of = fleet([host("a"), host("b")], [db])
    unrecorded = replace(seen(of), recorded_pins=frozenset())
    decision = decide(of, unrecorded, Ledger(), NOW)
    (home,) = decision.ledger.pins.values()
    waits = f"that its volumes belong to {home} is being recorded on the status branch"
    assert changes(decision) == [f"start db/0 - > {home}: commit 1111111 [{waits}]"]
    assert decision.actions == ()
    recorded = replace(seen(of), recorded_pins=frozenset(decision.ledger.pins))
    assert actions(decide(of, recorded, decision.ledger, NOW)) == [f"start db/0 on {home} v1:db"]


def test_a_pinned_slot_waits_for_its_host() -> None:
    db = service("db", 1, container=builders.pinned(), spec_hash="v1:db")
    of = fleet([host("a"), host("b")], [db])
    ledger = Ledger(pins={(db.id, 0): "a"})
    assert refused(of, ledger=ledger, silent="a") == [
        "db x1 a: state: suspect: no answer",
        "db x1 b: volume: its volumes are on a",
    ]


def test_slots_of_a_pinned_workload_have_homes_of_their_own() -> None:
    db = service("db", 3, container=builders.pinned(), spec_hash="v1:db")
    observed, ledger, _ = settle(fleet([host("a"), host("b"), host("c")], [db]))
    assert homes(observed, "db") == {"a": 1, "b": 1, "c": 1}
    assert {one.slot: one.host for one in observed.containers()} == {
        slot: home for (_, slot), home in ledger.pins.items()
    }


# --- room that is being freed


def test_growth_that_waits_for_room_keeps_it_against_lower_priority() -> None:
    gone = service("gone", cpu=4000)
    high, low = service("high", cpu=3000, priority=200), service("low", 2, cpu=1000, priority=1)
    of = fleet([host("a")], [high, low])
    leaver = running(gone, 0, "a")
    observed = change_view(seen(of, leaver), "a", stopping=frozenset({leaver.id}))
    decision = decide(of, observed, Ledger(), NOW)
    assert changes(decision) == [
        "start high/0 - > a: commit 1111111 [room on a is being freed]",
        "start low/0 - > a: commit 1111111 [room on a is being freed]",
        "start low/1 - > -: commit 1111111 [no host admits it]",
    ]
    assert decision.actions == ()
    assert actions(decide(of, seen(of), decision.ledger, NOW)) == [
        "start high/0 on a v1:web:1",
        "start low/0 on a v1:web:1",
    ]


def test_lower_priority_goes_where_nobody_waits() -> None:
    gone = service("gone", cpu=4000)
    high, low = service("high", cpu=3000, priority=200), service("low", 1, cpu=1500, priority=1)
    of = fleet([host("a"), host("b", cpu=2000)], [high, low])
    leaver = running(gone, 0, "a")
    observed = change_view(seen(of, leaver), "a", stopping=frozenset({leaver.id}))
    assert actions(decide(of, observed, Ledger(), NOW)) == ["start low/0 on b v1:web:1"]


def test_what_a_decision_stops_frees_its_room_for_what_waits_in_the_same_decision() -> None:
    old, new = service("old", cpu=4000), service("new", cpu=4000)
    of = fleet([host("a")], [new])
    decision = first(of, running(old, 0, "a"))
    assert actions(decision) == ["stop old/0 on a v1:web:1"]
    assert changes(decision) == [
        "start new/0 - > a: commit 1111111 [room on a is being freed]",
        "stop old/0 a > -: commit 1111111 does not have shop/old",
    ]
