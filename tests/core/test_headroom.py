"""Room that is kept for the loss of a host or a zone: played through for real."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rota.core.decide import decide
from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.model import Fill, Fleet, Loss, Service
from rota.core.rules import PlacementRules, Spread
from tests import builders
from tests.builders import fleet, host, service
from tests.core.placement.course import Course, without_hosts
from tests.core.scenes import NOW, seen


def surviving(loss: Loss, hosts: int, *ones: Service, **fills: Fill) -> Fleet:
    base = {WorkloadId("shop", name): fill for name, fill in fills.items()}
    of = [host(f"h{at}", memory=65536, labels={"zone": "abc"[at % 3]}) for at in range(hosts)]
    made = fleet(of, list(ones), (builders.policy(base=base),) if base else ())
    return replace(made, survive=loss)


def lost_together(of: Fleet, loss: Loss) -> dict[str, list[str]]:
    result: dict[str, list[str]] = {}
    for name, one in of.hosts.items():
        result.setdefault(one.labels["zone"] if loss is Loss.ZONE else name, []).append(name)
    return result


CASES = [
    (Loss.HOST, 3, [service("web", 4, cpu=1000)]),
    (Loss.HOST, 4, [service("web", 3, cpu=3000)]),
    (Loss.HOST, 4, [service("web", 5, cpu=1500), service("api", 2, cpu=700)]),
    (Loss.HOST, 6, [service("web", 7, cpu=1100), service("api", 5, cpu=900), service("db", 2, cpu=2500)]),
    (Loss.ZONE, 6, [service("web", 7, cpu=1000), service("api", 4, cpu=500)]),
    (Loss.ZONE, 6, [service("web", 4, cpu=2500)]),
]


@pytest.mark.parametrize(("loss", "hosts", "ones"), CASES)
@pytest.mark.parametrize("silent", [True, False], ids=["deleted-and-dead", "deleted-and-drained"])
def test_the_kept_room_is_enough_for_every_single_loss(
    loss: Loss, hosts: int, ones: list[Service], silent: bool
) -> None:
    pool = service("pool", cpu=500)
    of = surviving(loss, hosts, *ones, pool, pool=Fill(min=1))
    course = Course(of)
    decision = course.settle()
    assert decision.headroom is not None
    told = {one.lost for one in decision.headroom.shortfalls}
    assert course.count("pool") >= 1
    for lost in lost_together(of, loss).values():
        after = Course(
            replace(
                of,
                revision="2" * 40,
                max_removals=replace(of.max_removals, value=100),
                hosts={name: one for name, one in of.hosts.items() if name not in lost},
            ),
            without_hosts(course.observed, *lost) if silent else course.observed,
            course.ledger,
            course.now,
        )
        after.settle()
        homes = [one for one in after.observed.containers() if one.host not in lost]
        for service_ in ones:
            there = sum(one.workload == service_.id for one in homes)
            assert there == service_.replicas or told & {*lost}, f"without {lost}, {there} of {service_.id}"
    assert len(told) < len(lost_together(of, loss))


def test_what_would_have_no_place_is_told_by_name_and_number() -> None:
    of = surviving(Loss.HOST, 2, service("web", 3, cpu=2000))
    course = Course(of)
    decision = course.settle()
    assert decision.headroom is not None
    assert sorted(str(one) for one in decision.headroom.shortfalls) == [
        "without h0, 1 of shop/web: h1: cpu short by 2000m",
        "without h1, 1 of shop/web: h0: cpu short by 2000m",
    ]


def test_growth_is_not_held_back_for_the_sake_of_headroom() -> None:
    course = Course(surviving(Loss.HOST, 2, service("web", 8, cpu=1000)))
    course.settle()
    assert course.count("web") == 8


def test_two_decisions_on_the_same_state_are_equal() -> None:
    of = surviving(Loss.HOST, 2, service("web", 3, cpu=2000))
    assert decide(of, seen(of), Ledger(), NOW) == decide(of, seen(of), Ledger(), NOW)


@pytest.mark.parametrize("loss", list(Loss))
def test_a_fleet_without_hosts_has_nothing_to_lose(loss: Loss) -> None:
    decision = Course(surviving(loss, 0, service("web", 2), service("pool"), pool=Fill())).step()
    assert decision.headroom is not None
    assert (decision.headroom.shortfalls, decision.headroom.losses) == ((), 0)
    assert [(one.workload.name, one.count) for one in decision.unplaced] == [("web", 2)]


@pytest.mark.parametrize(("hosts", "replicas"), [(2, 4), (3, 3), (3, 7), (6, 12)])
@pytest.mark.parametrize("skew", [1, 2])
def test_a_lost_zone_does_not_count_for_a_hard_spread(hosts: int, replicas: int, skew: int) -> None:
    """It has no instances and takes none: the others need not stay within `maxSkew` of it."""
    rules = PlacementRules(spread=(Spread(key="zone", max_skew=skew, hard=True),))
    course = Course(surviving(Loss.ZONE, hosts, service("web", replicas, cpu=100, placement=rules)))
    decision = course.settle()
    assert decision.headroom is not None
    assert decision.headroom.shortfalls == ()
    assert decision.headroom.losses == min(hosts, 3)


def test_hosts_of_no_zone_are_lost_one_by_one() -> None:
    of = surviving(Loss.ZONE, 2, service("web", 2, cpu=3000))
    of = replace(of, hosts={name: replace(one, labels={}) for name, one in of.hosts.items()})
    decision = Course(of).settle()
    assert decision.headroom is not None
    assert [str(one) for one in decision.headroom.shortfalls] == [
        "without h0 (likewise h1), 1 of shop/web: h1: cpu short by 2000m",
    ]
    assert decision.headroom.losses == 2
