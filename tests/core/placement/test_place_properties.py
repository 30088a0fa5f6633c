"""`place` on small random boards: what it seats is allowed, and what it says of the rest is true."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rota.core.decide import Unplaced
from rota.core.model import Host, Service
from rota.core.placement.board import Board
from rota.core.placement.demand import Demand, Seating
from rota.core.placement.place import place
from rota.core.resources import Resources
from tests.core.placement.course import untruths
from tests.core.placement.judge import Stand, faults, why_not
from tests.core.placement.strategies import examples, hosts, services

SHUT = {"h0": "unreachable: no answer"}


def board_of(
    of: Sequence[Host], ones: Sequence[Service], shut: dict[str, str], standing: Counter[tuple[object, str]]
) -> Board:
    capacities = {
        one.name: Resources(cpu=one.cpu or 0, memory=one.memory or 0, extended=one.resources) - one.reserved
        for one in of
    }
    cordons = {one.name: "cordoned by its manifest" for one in of if one.unschedulable}
    board = Board.of(of, {one.id: one for one in ones}, capacities, shut, cordons)
    for (workload, host), count in standing.items():
        board.seat(board.services[workload], np.array([board.rows[host]]), np.array([count]))  # type: ignore[index]
    return board


def stand_of(of: Sequence[Host], ones: Sequence[Service], shut: dict[str, str]) -> Stand:
    return Stand(hosts={one.name: one for one in of}, services={one.id: one for one in ones}, shut=shut)


@st.composite
def crowds(
    draw: st.DrawFn, *, plain: bool = False
) -> tuple[list[Host], list[Service], dict[str, str], Stand]:
    """A fleet, and what stands already where it is allowed to."""
    of = draw(hosts())
    ones = draw(services(plain=plain))
    shut = SHUT if draw(st.integers(0, 5)) == 0 else {}
    stand = stand_of(of, ones, shut)
    for service in ones:
        for name in draw(st.lists(st.sampled_from([one.name for one in of]), max_size=3)):
            if not why_not(stand, service, name):
                stand.counts[service.id, name] += 1
    return of, ones, shut, stand


def placed_of(seatings: Sequence[Seating]) -> Counter[tuple[object, str]]:
    result: Counter[tuple[object, str]] = Counter()
    for one in seatings:
        for seats in (one.now, one.later):
            for host, count in seats.items():
                result[one.demand.service.id, host] += count
    return result


@examples(150)
@given(crowds())
def test_what_is_placed_is_allowed_and_what_is_not_is_refused_with_the_truth(
    crowd: tuple[list[Host], list[Service], dict[str, str], Stand],
) -> None:
    of, ones, shut, stand = crowd
    board = board_of(of, ones, shut, stand.counts)
    demands = [Demand(service=one, count=one.replicas) for one in ones]
    seatings = place(demands, board)
    placed = placed_of(seatings)
    stand.counts.update(placed)
    assert faults(stand, placed) == []
    for demand, seating in zip(demands, seatings, strict=True):
        seats = sum(seating.now.values()) + sum(seating.later.values())
        assert seats + seating.unplaced == demand.count
        assert (seating.unplaced > 0) == bool(seating.refusals)
        if seating.unplaced:
            left = Unplaced(workload=demand.service.id, count=seating.unplaced, refusals=seating.refusals)
            assert untruths(stand, left) == []
    for one in of:
        free = [
            stand.capacity(one.name).get(name, 0) - stand.used(one.name)[name] for name in board.resources
        ]
        assert free == board.free_after[board.rows[one.name]].tolist()


@examples(150)
@given(crowds(), st.randoms(use_true_random=False))
def test_the_order_of_hosts_services_and_demands_does_not_matter(
    crowd: tuple[list[Host], list[Service], dict[str, str], Stand], choose: random.Random
) -> None:
    of, ones, shut, stand = crowd
    first = place(
        [Demand(service=one, count=one.replicas) for one in ones], board_of(of, ones, shut, stand.counts)
    )
    of, ones = list(of), list(ones)
    choose.shuffle(of)
    choose.shuffle(ones)
    counts = Counter(dict(sorted(stand.counts.items(), reverse=True)))
    again = place([Demand(service=one, count=one.replicas) for one in ones], board_of(of, ones, shut, counts))
    assert sorted(map(repr, first)) == sorted(map(repr, again))
