"""What cannot be placed is said in time and in words, and never an exception."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from rota.core.decide import Decision, decide
from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.model import Fill, Fleet, Quota
from rota.core.observed import ObservedState
from rota.core.rules import Affinity, Operator, PlacementRules, Requirement, Spread
from tests import builders
from tests.builders import MEBIBYTE, fleet, host, service
from tests.core.scenes import NOW, change_view, running, seen

SLOWEST = 2.0
"""Seconds of processor time, several times what it takes."""


def rules(**fields: object) -> PlacementRules:
    return replace(PlacementRules(), **fields)  # type: ignore[arg-type]


def near(name: str) -> PlacementRules:
    return rules(affinity=(Affinity(workload=WorkloadId("shop", name), required=True),))


def hosts(count: int = 3, **fields: int) -> list[object]:
    return [host(f"h{at}", **fields) for at in range(count)]  # type: ignore[arg-type]


def too_large() -> Fleet:
    return fleet(hosts(), [service("web", 3, cpu=5000, memory=8192)])  # type: ignore[arg-type]


def nobody_matches() -> Fleet:
    selector = (Requirement(key="disk", operator=Operator.IN, values=("ssd",)),)
    return fleet(hosts(), [service("web", 3, placement=rules(host_selector=selector))])  # type: ignore[arg-type]


def affinity_cycle() -> Fleet:
    ones = [service("ant", 2, placement=near("bee")), service("bee", 2, placement=near("ant"))]
    return fleet(hosts(), ones)  # type: ignore[arg-type]


def affinity_to_itself() -> Fleet:
    return fleet(hosts(), [service("ant", 2, placement=near("ant"))])  # type: ignore[arg-type]


def apart_and_together() -> Fleet:
    placement = replace(
        near("bee"), anti_affinity=(Affinity(workload=WorkloadId("shop", "bee"), required=True),)
    )
    return fleet(hosts(), [service("ant", 2, placement=placement), service("bee", 2)])  # type: ignore[arg-type]


def no_hosts() -> Fleet:
    return fleet([], [service("web", 3)])


def no_labels_to_spread_over() -> Fleet:
    spread = (Spread(key="planet", max_skew=1, hard=True),)
    return fleet(hosts(), [service("web", 3, placement=rules(spread=spread))])  # type: ignore[arg-type]


def a_million() -> Fleet:
    return fleet(hosts(), [service("web", 10**6)])  # type: ignore[arg-type]


def a_million_that_fill_at_least() -> Fleet:
    return fleet(
        hosts(), [service("web")], (builders.policy(base={WorkloadId("shop", "web"): Fill(min=10**6)}),)
    )  # type: ignore[arg-type]


def many_empty_hosts() -> Fleet:
    return fleet(hosts(10_000, cpu=0, memory=0), [service(f"s{at}", 3) for at in range(50)])  # type: ignore[arg-type]


def quota_below_what_is_wanted() -> Fleet:
    made = fleet(hosts(), [service("web", 3)])  # type: ignore[arg-type]
    return replace(made, quotas=(Quota(namespace="shop", name="q", hard={"instances": 1}),))


CASES: list[tuple[Callable[[], Fleet], dict[str, int], list[str]]] = [
    (too_large, {"web": 3}, ["cpu short by 1000m, memory short by 4Gi"]),
    (nobody_matches, {"web": 3}, ["label disk=ssd is not met"]),
    (
        affinity_cycle,
        {"ant": 2, "bee": 2},
        ["affinity: no shop/bee is on it", "affinity: no shop/ant is on it"],
    ),
    (affinity_to_itself, {"ant": 2}, ["affinity: no shop/ant is on it"]),
    (apart_and_together, {"ant": 2}, []),
    (no_hosts, {"web": 3}, []),
    (no_labels_to_spread_over, {"web": 3}, ["spread: it has no label planet"]),
    (a_million, {"web": 10**6 - 96}, ["memory short by 128Mi"]),
    (a_million_that_fill_at_least, {"web": 10**6 - 96}, ["memory short by 128Mi"]),
    (many_empty_hosts, {f"s{at}": 3 for at in range(50)}, ["cpu short by 100m, memory short by 128Mi"]),
    (quota_below_what_is_wanted, {"web": 2}, ["quota shop/q: instances 1 of 1 taken, one more asks for 1"]),
]


def timely(of: Fleet, observed: ObservedState, ledger: Ledger | None = None) -> Decision:
    began = time.process_time()
    decision = decide(of, observed, ledger or Ledger(), NOW)
    assert time.process_time() - began < SLOWEST
    return decision


@pytest.mark.parametrize(("make", "unplaced", "words"), CASES, ids=[make.__name__ for make, _, _ in CASES])
def test_what_cannot_be_placed_is_said_in_time(
    make: Callable[[], Fleet], unplaced: dict[str, int], words: list[str]
) -> None:
    of = make()
    decision = timely(of, seen(of))
    assert {one.workload.name: one.count for one in decision.unplaced} == unplaced
    told = dict.fromkeys(each.detail for one in decision.unplaced for each in one.refusals)
    assert not words or list(told) == words


def test_an_engine_that_has_less_than_its_manifest_says_rules() -> None:
    of = fleet([host("a", memory=8192)], [service("web", 4, memory=1024)])
    observed = seen(of)
    engine = observed.hosts["a"].engine
    assert engine is not None
    observed = change_view(observed, "a", engine=replace(engine, memory=2048 * MEBIBYTE))
    decision = timely(of, observed)
    assert [(one.count, [each.detail for each in one.refusals]) for one in decision.unplaced] == [
        (2, ["memory short by 1Gi"])
    ]


def test_a_host_that_became_too_small_for_what_it_runs_is_left_alone() -> None:
    web = service("web", 3, cpu=1000)
    of = fleet([host("a", cpu=2000)], [web])
    decision = timely(of, seen(of, *(running(web, slot, "a") for slot in range(3))))
    assert decision.changes == ()


def test_an_unchanged_pass_over_a_large_fleet_is_quick() -> None:
    """200 hosts, 2,000 instances: half a second of processor time at most."""
    of = [host(f"h{at:03}", cpu=16000, memory=65536, labels={"zone": "abc"[at % 3]}) for at in range(200)]
    ones = [service(f"s{at:02}", 40, cpu=500, memory=1024) for at in range(50)]
    made = fleet(of, ones)
    containers = [
        running(one, slot, f"h{(number * 40 + slot) % 200:03}")
        for number, one in enumerate(ones)
        for slot in range(40)
    ]
    observed, ledger = seen(made, *containers), Ledger()
    for _ in range(2):
        began = time.process_time()
        decision = decide(made, observed, ledger, NOW)
        took = time.process_time() - began
        ledger = decision.ledger
    assert decision.actions == ()
    assert took < 0.5
