"""Moves by choice: what finds no room otherwise, and spread that became uneven."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rota.core.ledger import Failure, Ledger, Move
from rota.core.model import Amount, Fleet, Host, Service, UpdateRules
from rota.core.observed import ObservedState
from rota.core.resources import Resources
from rota.core.rules import PlacementRules, Spread
from tests.builders import MEBIBYTE, fleet, host, service
from tests.core.placement.course import Course, with_hosts
from tests.core.scenes import NOW, change_view, changes, decide, homes, later, running, seen


def sized(name: str, memory: int, **fields: object) -> Service:
    return service(name, 1, cpu=100, memory=memory, **fields)  # type: ignore[arg-type]


def machines(count: int, memory: int = 2048) -> list[Host]:
    return [host(f"h{at}", memory=memory) for at in range(count)]


MOBY_24103 = (
    machines(2),
    [(sized("one", 750), "h0"), (sized("two", 750), "h1")],
    sized("big", 1500),
)
TWO_MOVES = (
    machines(3, 2000),
    [
        (sized("one", 500), "h0"),
        (sized("two", 500), "h0"),
        (sized("three", 1400), "h1"),
        (sized("four", 1400), "h2"),
    ],
    sized("big", 1800),
)
THREE_MOVES = (
    machines(4, 2000),
    [
        (sized("one", 500), "h0"),
        (sized("two", 500), "h0"),
        (sized("three", 500), "h0"),
        *((sized(f"x{at}", 1400), f"h{at}") for at in (1, 2, 3)),
    ],
    sized("big", 1900),
)


@pytest.fixture(
    params=[(MOBY_24103, 1), (TWO_MOVES, 2), (THREE_MOVES, 3)], ids=["moby-24103", "two", "three"]
)
def crowd(request: pytest.FixtureRequest) -> tuple[Course, int]:
    (hosts, standing, big), moves = request.param
    of = fleet(hosts, [*(one for one, _ in standing), big])
    return Course(of, seen(of, *(running(one, 0, where) for one, where in standing))), moves


def test_the_fewest_moves_make_room(crowd: tuple[Course, int]) -> None:
    course, moves = crowd
    course.settle()
    assert course.count("big") == 1
    assert len(course.moved) == moves
    assert len(course.stopped) == moves


def test_a_move_is_made_before_it_breaks(crowd: tuple[Course, int]) -> None:
    """At no time serve fewer instances of anything than before, and no host is overbooked."""
    course, _ = crowd
    ids = sorted({one.workload for one in course.observed.containers()})
    for _ in range(8):
        course.step()
        assert {one.workload for one in course.observed.containers() if one.ready} >= set(ids)
    assert course.count("big") == 1


def test_without_moves_it_is_unplaced_with_the_truth(crowd: tuple[Course, int]) -> None:
    course, _ = crowd
    course.fleet = replace(course.fleet, max_moves_per_hour=0)
    decision = course.settle()
    assert course.moved == course.stopped == []
    assert [one.workload.name for one in decision.unplaced] == ["big"]
    assert not course.final_problems()


@pytest.mark.parametrize("passes", [1, 2, 3])
@pytest.mark.parametrize("keep", [True, False], ids=["ledger-kept", "ledger-lost"])
def test_a_daemon_that_starts_anew_in_the_middle_ends_the_same(
    crowd: tuple[Course, int], passes: int, keep: bool
) -> None:
    course, _ = crowd
    for _ in range(passes):
        course.step()
    ledger = course.ledger
    course.ledger = (
        replace(ledger, failures={}, targets={}, moves_begun=()) if keep else Ledger(fleet=ledger.fleet)
    )
    course.settle()
    assert course.count("big") == 1
    assert sorted(one.slot for one in course.observed.containers()) == [0] * len(course.fleet.services)


def test_a_move_beyond_the_hours_limit_waits_for_the_next() -> None:
    hosts, standing, big = MOBY_24103
    of = replace(fleet(hosts, [*(one for one, _ in standing), big]), max_moves_per_hour=1)
    used = Ledger(moves_begun=(990.0,))
    course = Course(of, seen(of, *(running(one, 0, where) for one, where in standing)), used)
    course.moved = [990.0]
    course.settle()
    assert course.count("big") == 0
    course.step(3600.0)
    course.settle()
    assert course.count("big") == 1


# --- an even spread


def zoned(*names: str) -> list[Host]:
    """`b1y` is in zone b and rack y."""
    return [host(name, labels={"zone": name[0], "rack": name[2]}) for name in names]


def uneven(of: Fleet, one: Service, *where: str) -> Course:
    return Course(of, seen(of, *(running(one, slot, name) for slot, name in enumerate(where))))


def test_a_host_that_joins_gets_its_part_and_then_nothing_moves() -> None:
    web = service("web", 6)
    course = Course(fleet(zoned("a1x", "b1x"), [web]))
    course.settle()
    course.fleet = fleet(zoned("a1x", "b1x", "c1x"), [web])
    course.observed = with_hosts(course.observed, course.fleet)
    course.settle()
    assert homes(course.observed, "web") == {"a1x": 2, "b1x": 2, "c1x": 2}
    assert len(course.moved) == 2


@pytest.mark.parametrize("hard", [True, False])
def test_two_labels_to_spread_over_come_to_rest(hard: bool) -> None:
    """What evens out the racks must not make the zones uneven, or it is undone for ever."""
    spread = tuple(Spread(key=key, max_skew=2, hard=hard) for key in ("zone", "rack"))
    web = service("web", 4, placement=PlacementRules(spread=spread))
    course = Course(fleet(zoned("b1y", "b2x", "a1y"), [web]))
    course.settle()
    assert len(course.moved) <= 1


@pytest.mark.parametrize("names", [("a1x", "a2x", "b1x"), ("a1x", "b1y", "c1x", "c2y"), ("a1x", "a2y")])
@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_a_first_placement_is_as_even_as_repairs_would_make_it(names: tuple[str, ...], count: int) -> None:
    course = Course(fleet(zoned(*names), [service("web", count), service("api", 3, cpu=300)]))
    course.settle()
    assert course.moved == []


def test_no_instance_moves_without_gain() -> None:
    web = service("web", 3)
    of = fleet(zoned("a1x", "b1x"), [web])
    course = uneven(of, web, "a1x", "a1x", "b1x")
    course.settle()
    assert course.moved == []


# --- numbers


@pytest.mark.parametrize(("before", "after"), [(6, 3), (3, 6), (6, 1), (1, 6), (5, 5)])
def test_survivors_keep_number_and_host_and_new_ones_take_the_lowest_free(before: int, after: int) -> None:
    course = Course(fleet(machines(3), [service("web", before)]))
    course.settle()
    course.fleet = fleet(machines(3), [service("web", after)], revision="2" * 40)
    course.fleet = replace(course.fleet, max_removals=Amount(value=100, percent=True))
    there = _slots(course.observed)
    course.settle()
    now = _slots(course.observed)
    assert len(now) == after
    assert {slot: now[slot] for slot in now if slot in there} == {
        slot: there[slot] for slot in now if slot in there
    }
    if after > before:
        free = [slot for slot in range(before + after) if slot not in there]
        assert sorted(set(now) - set(there)) == free[: after - before]


def _slots(observed: ObservedState) -> dict[int, str]:
    return {one.slot: one.host for one in observed.containers()}


# --- a rollout and growth at once


@pytest.mark.parametrize("per_host", [1, 2])
@pytest.mark.parametrize("more", [0, 1, 2])
def test_growth_takes_no_place_that_a_predecessor_still_holds(per_host: int, more: int) -> None:
    """The old instance does not count against its successor, but it does against one more."""
    rules = PlacementRules(max_per_host=per_host)
    old = service("web", per_host, placement=rules, max_unavailable=Amount(value=1))
    new = replace(
        service("web", per_host + more, image="web:2", placement=rules), max_unavailable=Amount(value=1)
    )
    course = Course(fleet(machines(1), [old]))
    course.settle()
    course.fleet = fleet(machines(1), [new], revision="2" * 40)
    decision = course.settle()
    assert {one.spec for one in course.observed.containers()} == {"v1:web:2"}
    assert course.count("web") == per_host
    assert [one.count for one in decision.unplaced] == ([more] if more else [])


def test_the_words_of_an_unplaced_instance_name_what_is_missing_to_the_byte() -> None:
    of = fleet([host("a", memory=1000, reserved=Resources(memory=100 * MEBIBYTE))], [sized("big", 901)])
    course = Course(of)
    decision = course.settle()
    assert [each.detail for one in decision.unplaced for each in one.refusals] == ["memory short by 1Mi"]
    assert changes(decision) == ["start big/0 - > -: commit 1111111 [no host admits it]"]


# --- moves that come to nothing


def moby(*ones: Service, **fields: object) -> tuple[Fleet, ObservedState]:
    """The big one finds room if one of the others moves; `ones` are there as well and run nowhere."""
    hosts, standing, big = MOBY_24103
    changed = [(replace(one, **fields), where) for one, where in standing]  # type: ignore[arg-type]
    of = fleet(hosts, [*(one for one, _ in changed), big, *ones])
    return of, seen(of, *(running(one, 0, where) for one, where in changed))


@pytest.mark.parametrize("seconds", [1.0, 2.0, 5.0, 11.0])
@pytest.mark.parametrize("count", [2, 20])
def test_one_claimant_costs_one_move_however_long_it_soaks(count: int, seconds: float) -> None:
    """While the newcomer of the move soaks, the next passes do not begin other moves for the same room."""
    update = UpdateRules(min_healthy_time=10.0)
    ones = [sized(f"s{at}", 750 + 10 * at, update=update) for at in range(count)]
    of = fleet(machines(count), [*ones, sized("big", 1500)])
    course = Course(of, seen(of, *(running(one, 0, f"h{at}") for at, one in enumerate(ones))))
    for _ in range(30):
        course.step(seconds)
    assert (len(course.moved), len(course.stopped), course.count("big")) == (1, 1, 1)


@pytest.mark.parametrize("queued", [False, True])
def test_a_move_whose_target_fills_up_ends(queued: bool) -> None:
    """There is room where it is: nothing starts there only to be stopped again."""
    of, observed = moby()
    first = decide(of, observed, Ledger(), NOW)
    ((workload, slot), move) = next(iter(first.ledger.moves.items()))
    rival = sized("rival", 1200)
    services = {each: one for each, one in of.services.items() if each.name != "big"}
    of = replace(of, services={**services, rival.id: rival}, revision="2" * 40)
    there = (*observed.containers(), running(rival, 0, move.target))
    course = Course(of, seen(of, *there), first.ledger, later(1))
    if queued:
        entry = (workload, slot, of.services[workload].spec_hash)
        course.observed = change_view(course.observed, move.target, queued=(entry,))
    decisions = [course.step(30.0)]
    course.observed = change_view(course.observed, move.target, queued=())
    decisions += [course.step(30.0) for _ in range(20)]
    assert [action for decision in decisions for action in decision.actions] == []
    assert decisions[-1].changes == ()
    assert course.ledger.moves == {}
    assert course.stopped == []


@pytest.mark.parametrize("target", ["b", "left"], ids=["target-is-full", "target-left-the-fleet"])
def test_a_move_whose_newcomer_is_gone_is_over_and_the_next_may_begin(target: str) -> None:
    web, rival = service("web", 3, cpu=1000), service("rival", 1, cpu=4000)
    of = fleet([host("a"), host("b"), host("c")], [web, rival])
    stuck = Move(source="a", target=target, cause="makes room for shop/gone")
    course = Course(
        of,
        seen(of, *(running(web, slot, "a") for slot in range(3)), running(rival, 0, "b")),
        Ledger(moves={(web.id, 0): stuck}),
    )
    assert (web.id, 0) not in {key for key, one in course.step().ledger.moves.items() if one == stuck}
    course.settle()
    assert homes(course.observed, "web") == {"a": 2, "c": 1}
    assert course.ledger.moves == {}
    assert len(course.moved) == 1


@pytest.mark.parametrize("target", ["b", "left"], ids=["target-is-full", "target-left-the-fleet"])
def test_a_move_that_has_nowhere_to_go_is_not_made_in_place(target: str) -> None:
    web, rival = service("web", 1), service("rival", 1, cpu=4000)
    of = fleet([host("a"), host("b")], [web, rival])
    stuck = Move(source="a", target=target, cause="makes room for shop/gone")
    course = Course(
        of, seen(of, running(web, 0, "a"), running(rival, 0, "b")), Ledger(moves={(web.id, 0): stuck})
    )
    assert [course.step().actions for _ in range(6)] == [()] * 6
    assert course.ledger.moves == {}


def test_spread_is_not_repaired_from_a_silent_host() -> None:
    """Its instances may well run: what starts elsewhere would be one too many, and nothing can be stopped."""
    web = service("web", 4)
    of = fleet(zoned("a1x", "b1x", "c1x"), [web])
    course = Course(of, seen(of, *(running(web, slot, "a1x") for slot in range(4)), silent="a1x"))
    for _ in range(10):
        decision = course.step(30.0)
        assert changes(decision) == []
    assert course.moved == []


@pytest.mark.parametrize(
    ("backs_off", "moves"),
    [("", ["one"]), ("one", ["two"]), ("one two", [])],
    ids=["nobody", "the-first-choice", "both"],
)
def test_who_backs_off_on_a_host_does_not_move_there_to_make_room(backs_off: str, moves: list[str]) -> None:
    of, observed = moby()
    failure = Failure(count=5, until=NOW.mono + 60, message="pull failed")
    failures = {
        (one.id, where, one.spec_hash): failure
        for one in of.services.values()
        for where in of.hosts
        if one.id.name in backs_off.split()
    }
    decision = decide(of, observed, Ledger(failures=failures), NOW)
    assert [workload.name for workload, _ in decision.ledger.moves] == moves
    assert len(decision.ledger.moves_begun) == len(decision.actions) == len(moves)
