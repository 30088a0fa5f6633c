"""Why a workload is where it is: what every host says, and whether what would help does help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.model import Amount, Fill, Fleet, Override, Quota, Service
from rota.core.observed import ObservedState
from rota.core.resources import Resources
from rota.core.rules import (
    HOST_SCOPE,
    Affinity,
    Effect,
    Operator,
    PlacementRules,
    Requirement,
    Spread,
    Taint,
    Toleration,
)
from rota.core.why import Explanation, explain
from rota.report.explanation import explanation_document, render_explanation
from tests import builders
from tests.builders import MEBIBYTE, fleet, host, service
from tests.core.scenes import NOW, running, seen

API = WorkloadId("shop", "api")
SSD = Requirement(key="disk", operator=Operator.IN, values=("ssd",))


def api(replicas: int = 1, **fields: object) -> Service:
    return service("api", replicas, cpu=1000, memory=1024, **fields)


def told(of: Fleet, observed: ObservedState | None = None, ledger: Ledger | None = None) -> Explanation:
    return explain(API, of, observed or seen(of), ledger or Ledger(), NOW)


def text(of: Explanation) -> list[str]:
    return render_explanation(of).splitlines()[1:]


def placed(of: Explanation) -> int:
    return of.wanted - of.unplaced


def small(*names: str, **fields: object) -> list:
    """Hosts that hold one instance of the API each, and little else."""
    return [host(name, cpu=1500, memory=1536, **fields) for name in names]


def test_everything_has_a_place() -> None:
    of = fleet(small("a", "b", "c"), [api(2)])
    found = told(of, seen(of, running(api(2), 0, "a")))
    assert [(one.host, one.runs, one.starts, one.more) for one in found.hosts] == [
        ("a", 1, 0, 0),
        ("b", 0, 1, 0),
        ("c", 0, 0, 1),
    ]
    assert found.unplaced == 0
    assert not found.remedies
    assert not found.last_resort


def test_every_filter_that_refuses_is_told_and_every_dimension_that_is_short() -> None:
    hosts = [host("a", cpu=500, memory=512, unschedulable=True, taints=(Taint(key="gpu"),))]
    rules = PlacementRules(host_selector=(SSD,))
    found = told(fleet(hosts, [api(placement=rules)]))
    assert [one.detail for one in found.hosts[0].obstacles] == [
        "cordoned by its manifest",
        "taint gpu is not tolerated",
        "label disk=ssd is not met",
        "cpu short by 500m, memory short by 512Mi (it has 500m cpu and 512Mi of memory)",
    ]
    assert [one.filter for one in found.hosts[0].obstacles] == [
        "unschedulable",
        "taint",
        "hostSelector",
        "room",
    ]


def change_hosts(of: Fleet, **fields: object) -> Fleet:
    return replace(of, hosts={name: replace(one, **fields) for name, one in of.hosts.items()})  # type: ignore[arg-type]


def change_api(of: Fleet, **fields: object) -> Fleet:
    changed = replace(of.services[API], **fields)  # type: ignore[arg-type]
    return replace(of, services={**of.services, API: changed})


def rules(of: Fleet) -> PlacementRules:
    return of.services[API].placement


def with_rules(of: Fleet, **fields: object) -> Fleet:
    return change_api(of, placement=replace(rules(of), **fields))  # type: ignore[arg-type]


GPU = Taint(key="gpu", effect=Effect.NO_SCHEDULE)
SPREAD = Spread(key="zone", hard=True)
QUOTA = Quota(namespace="shop", name="all", hard={"instances": 1, "cpu": 1500})

REMEDIES: tuple[tuple[str, Fleet, str, Callable[[Fleet], Fleet]], ...] = (
    (
        "cordoned",
        fleet(small("a", "b", unschedulable=True), [api()]),
        "uncordon a, b",
        lambda of: change_hosts(of, unschedulable=False),
    ),
    (
        "taint",
        fleet(small("a", taints=(GPU,)), [api()]),
        "tolerate gpu (a)",
        lambda of: with_rules(of, tolerations=(Toleration(key="gpu"),)),
    ),
    (
        "hostSelector",
        fleet(small("a"), [api(placement=PlacementRules(host_selector=(SSD,)))]),
        "label a so that disk=ssd",
        lambda of: change_hosts(of, labels={"disk": "ssd"}),
    ),
    (
        "maxPerHost",
        fleet([host("a")], [api(2, placement=PlacementRules(max_per_host=1))]),
        "raise maxPerHost to 2 (a)",
        lambda of: with_rules(of, max_per_host=2),
    ),
    (
        "spread",
        fleet(
            [host("a"), *small("b", reserved=Resources(cpu=600))],
            [api(2, placement=PlacementRules(spread=(SPREAD,)))],
        ),
        "raise maxSkew, or let whenUnsatisfiable be ScheduleAnyway (a)",
        lambda of: with_rules(of, spread=(replace(SPREAD, hard=False),)),
    ),
    (
        "room",
        fleet(
            [host("a", cpu=1500), host("b", cpu=1900)], [api(2), service("low", 1, cpu=1200, priority=200)]
        ),
        "free 700m of cpu on a",
        lambda of: change_hosts(of, cpu=2200),
    ),
    (
        "quota",
        replace(fleet([host("a")], [api(2)]), quotas=(QUOTA,)),
        "raise instances of quota shop/all to 2 and cpu of quota shop/all to 2",
        lambda of: replace(of, quotas=(replace(QUOTA, hard={"instances": 2, "cpu": 2000}),)),
    ),
)


@pytest.mark.parametrize(
    ("name", "of", "remedy", "change"), REMEDIES, ids=lambda one: one if isinstance(one, str) else ""
)
def test_what_would_help_helps(name: str, of: Fleet, remedy: str, change: Callable[[Fleet], Fleet]) -> None:
    before = told(of)
    assert f"    {remedy}" in text(before)
    assert placed(told(change(of))) > placed(before), name


def test_where_two_things_refuse_no_single_change_is_offered() -> None:
    found = told(fleet(small("a", unschedulable=True, taints=(GPU,)), [api()]))
    assert not found.remedies
    assert (
        found.last_resort == "No single change helps: it takes a host with at least 1 cpu and 1Gi of memory"
    )


def test_a_quota_and_hosts_that_refuse_both() -> None:
    found = told(replace(fleet(small("a"), [api(2)]), quotas=(replace(QUOTA, hard={"instances": 1}),)))
    assert [one.filter for one in found.fleetwide] == ["quota"]
    assert found.last_resort == "No single change helps: the quota refuses, and so does every host"


def test_the_smallest_change_comes_first() -> None:
    hosts = [host("a", cpu=1500), host("b", cpu=1100), host("c", unschedulable=True)]
    full = [service("full", 2, cpu=500, placement=PlacementRules(max_per_host=1), priority=200)]
    found = told(fleet(hosts, [*full, api(2)]))
    assert [one.mend.before for one in found.remedies] == ["free 400m of cpu on ", "uncordon "]


def test_no_host_is_large_enough() -> None:
    found = told(fleet(small("a", "b"), [api(requests=Resources(cpu=4000, memory=512 * MEBIBYTE))]))
    assert found.last_resort == (
        "No host is large enough: it takes a host with at least 4 cpu and 512Mi of memory. "
        "The nearest there is, a, has 1500m cpu and 1536Mi of memory"
    )


def test_an_extended_resource_that_the_workload_itself_has_taken_is_not_to_be_freed() -> None:
    asks = Resources(cpu=100, extended=(("gpu", 1),))
    hosts = [host("a", resources=(("gpu", 1),)), host("b")]
    found = told(fleet(hosts, [api(2, requests=asks)]))
    assert [one.obstacles[0].detail for one in found.hosts] == [
        "gpu short by 1 (it has 1 gpu, with 1 of shop/api on it)",
        "gpu short by 1 (it has no gpu)",
    ]
    assert found.last_resort == "No single change helps: it takes a host with at least 100m cpu and 1 gpu"


def test_a_new_host_needs_the_labels_that_are_asked_for() -> None:
    wants = api(2, placement=PlacementRules(host_selector=(SSD,)))
    found = told(fleet(small("a", labels={"disk": "ssd"}), [wants]))
    assert found.last_resort.endswith("1 cpu and 1Gi of memory, labelled so that disk=ssd")


def test_what_has_to_be_with_others() -> None:
    near = PlacementRules(
        affinity=(Affinity(workload=WorkloadId("shop", "db"), scope=HOST_SCOPE, required=True),)
    )
    found = told(fleet(small("a"), [api(placement=near), service("db", 0)]))
    assert found.last_resort == "No single change helps: it has to be with shop/db"


def test_without_hosts_and_without_capacity() -> None:
    assert text(told(fleet([], [api()])))[0] == "there is no host"
    of = fleet([host("a", cpu=1000)], [api()])
    unseen = change_hosts(of, cpu=None, memory=None)
    blind = replace(
        seen(unseen), hosts={name: replace(view, engine=None) for name, view in seen(unseen).hosts.items()}
    )
    assert told(unseen, blind).last_resort.startswith("No capacity is known")


def test_a_slot_with_volumes_is_asked_for_by_itself() -> None:
    db = replace(api(2), container=builders.pinned())
    of = fleet(small("a", "b"), [db, service("other", 1, cpu=1000, priority=200)])
    other = of.services[WorkloadId("shop", "other")]
    observed = seen(of, running(other, 0, "a"), running(db, 1, "b"))
    found = told(of, observed, Ledger(pins={(API, 0): "a", (API, 1): "b"}))
    assert (found.slot, found.unplaced) == (0, 1)
    assert text(found)[-2:] == [
        "Slot 0 would fit with any of these:",
        "    free 500m of cpu on a",
    ]
    assert [one.obstacles[0].detail for one in found.hosts][1] == "its volumes are on a"


def test_what_makes_room_and_what_would_but_for_its_budget() -> None:
    low = service("low", 1, cpu=1000, memory=1024, priority=10, max_unavailable=Amount(value=1))
    of = fleet(small("a"), [api(), low])
    found = told(of, seen(of, running(low, 0, "a")))
    assert (found.makes_room, found.held_back, found.unplaced) == (("shop/low/0 on a is preempted",), (), 0)
    kept = replace(low, max_unavailable=Amount(value=0))
    of = fleet(small("a"), [api(), kept])
    found = told(of, seen(of, running(kept, 0, "a")))
    words = "shop/low on a could make room, but its disruption.maxUnavailable is 0"
    assert (found.makes_room, found.held_back, found.unplaced) == ((), (words,), 1)


def test_budgets_that_do_not_reach() -> None:
    low = service("low", 4, cpu=500, memory=512, priority=10, max_unavailable=Amount(value=1))
    of = fleet([host("a", cpu=1200), host("b", cpu=1200)], [api(), low])
    four = [running(low, slot, "ab"[slot % 2]) for slot in range(4)]
    words = "could make room, but its disruption.maxUnavailable is 1"
    assert told(of, seen(of, *four)).held_back == (
        f"shop/low on a, b {words}, and 2 would have to be stopped",
    )


def test_a_move_that_makes_room() -> None:
    low = service("low", 1, cpu=800, memory=1024, priority=200)
    of = fleet([host("a", cpu=1500), host("b", cpu=900)], [api(), low])
    found = told(of, seen(of, running(low, 0, "a")))
    assert (found.makes_room, found.unplaced) == (("shop/low/0 moves from a to b",), 0)


def test_what_fills() -> None:
    policy = builders.policy(base={API: Fill(min=1)})
    of = fleet([host("a", cpu=3000)], [api()], (policy,))
    found = told(of)
    assert (found.wanted, found.fills) == (3, True)
    assert render_explanation(found).startswith("Service shop/api: 3 fill what is left over by ")


def test_the_document_says_what_the_text_says() -> None:
    of = fleet(small("a", unschedulable=True), [api()])
    document = explanation_document(told(of))
    assert document["kind"] == "Explanation"
    assert document["hosts"][0]["refusals"][0]["filter"] == "unschedulable"
    assert document["remedies"] == [{"change": "uncordon a", "hosts": ["a"]}]


def test_an_override_that_cordons_is_named() -> None:
    override = Override(
        namespace="shop",
        name="repair",
        target_kind="Host",
        target_name="a",
        start=None,
        until=NOW.wall.replace(year=2027),
        reason="a new disk",
        unschedulable=True,
    )
    found = told(fleet(small("a"), [api()], overrides=(override,)))
    assert found.hosts[0].obstacles[0].detail.endswith("by override repair")


@pytest.mark.parametrize("closed", ["cordoned", "silent"])
def test_a_hard_spread_and_no_zone_open(closed: str) -> None:
    one = api(3, placement=PlacementRules(spread=(SPREAD,)))
    of = fleet(small("a", "b", unschedulable=closed == "cordoned"), [one])
    silent = "a b" if closed == "silent" else ""
    found = told(of, seen(of, running(one, 0, "a"), running(one, 1, "a"), silent=silent))
    words = {each.detail for answer in found.hosts for each in answer.obstacles if each.filter == "spread"}
    assert words == {"spread: no zone is open to it"}
    assert text(found)
