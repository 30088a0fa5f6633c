"""The exact solver: what it answers, that it is right, and that it is quick enough to be asked."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rota import exact
from rota.core.placement.puzzle import Answer, Evenness, Group, Pair, Puzzle, Solver
from tests.exact.checker import best, by_tier, complaints, faults
from tests.exact.puzzles import planted, tight

OPERATOR = Path(exact.__file__).resolve().parents[1]


def fresh() -> Solver:
    made = exact.solver()
    if made is None:
        pytest.skip(exact.missing())
    return made


@pytest.fixture(scope="module")
def solve() -> Solver:
    return fresh()


def group(count: int, *room: int, need: int = 1, tier: int = 0, evenness: tuple[Evenness, ...] = ()) -> Group:
    return Group(needs=(need,), count=count, tier=tier, room=room, evenness=evenness)


def puzzle(*free: int, groups: tuple[Group, ...], **rules: tuple[Pair, ...]) -> Puzzle:
    return Puzzle(free=tuple((amount,) for amount in free), groups=groups, **rules)


def seated(solve: Solver, given: Puzzle) -> tuple[int, ...]:
    """What is seated by tier, in an answer that breaks nothing and is proved."""
    answer = solve(given)
    assert answer is not None
    assert complaints(given, answer) == []
    return by_tier(given, answer.seats)


ZONED = (0, 0, 1, 1)


def zones(*domains: int, standing: tuple[int, ...], max_skew: int = 1) -> tuple[Evenness, ...]:
    return (Evenness(domains=domains, standing=standing, max_skew=max_skew),)


def pairs(first: int, second: int, *domains: int, free: frozenset[int] = frozenset()) -> tuple[Pair, ...]:
    return (Pair(first=first, second=second, domains=domains, free=free),)


TABLE: list[tuple[str, Puzzle, tuple[int, ...]]] = [
    ("nothing asked", puzzle(5, 5, groups=()), ()),
    ("no host", Puzzle(free=(), groups=(group(2),)), (0,)),
    ("no instance", puzzle(5, groups=(group(0, 3),)), (0,)),
    ("all fit", puzzle(2, 2, groups=(group(4, 9, 9),)), (4,)),
    ("a puzzle for first fit", puzzle(10, 10, groups=tuple(group(2, 2, 2, need=n) for n in (2, 3, 5))), (6,)),
    ("room is obeyed", puzzle(9, 9, groups=(group(4, 1, 2),)), (3,)),
    ("an overdrawn host", puzzle(-5, 3, groups=(group(4, 9, 9), group(2, 9, 0, need=0))), (5,)),
    (
        "the higher tier first, though the lower one has more",
        puzzle(4, groups=(group(4, 4, tier=1), group(1, 1, need=3))),
        (1, 1),
    ),
    (
        "a zone that is too high takes nothing, and forbids nothing elsewhere",
        puzzle(9, 9, 9, 9, groups=(group(3, 9, 9, 9, 9, evenness=zones(*ZONED, standing=(5, 0))),)),
        (3,),
    ),
    (
        "a zone without room holds the others back",
        puzzle(
            9, 9, 9, 9, groups=(group(6, 9, 9, 0, 0, evenness=zones(*ZONED, standing=(0, 0), max_skew=2)),)
        ),
        (2,),
    ),
    (
        "a host without a zone takes nothing",
        puzzle(9, 9, groups=(group(6, 9, 9, evenness=zones(0, -1, standing=(0,))),)),
        (6,),
    ),
    (
        "every host lacks the label",
        puzzle(9, 9, groups=(group(6, 9, 9, evenness=zones(-1, -1, standing=())),)),
        (0,),
    ),
    (
        "one a zone",
        puzzle(9, 9, 9, 9, groups=(group(3, 9, 9, 9, 9),), apart=pairs(0, 0, *ZONED)),
        (2,),
    ),
    (
        "two that keep apart",
        puzzle(9, 9, groups=(group(4, 3, 3), group(4, 3, 3)), apart=pairs(0, 1, -1, -1)),
        (6,),
    ),
    (
        "near, in the other's zone only",
        puzzle(1, 1, 9, 9, groups=(group(9, 9, 9, 9, 9), group(1, 1, 1, 0, 0)), near=pairs(0, 1, *ZONED)),
        (2,),
    ),
    (
        "near what stands already",
        puzzle(9, 3, groups=(group(9, 9, 9), group(1, 0, 0)), near=pairs(0, 1, -1, -1, free=frozenset({1}))),
        (3,),
    ),
    (
        "a lower tier is seated for those who must be near it",
        puzzle(3, groups=(group(2, 2), group(1, 1, tier=1)), near=pairs(0, 1, -1)),
        (2, 1),
    ),
]


@pytest.mark.parametrize(("given", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_is_seated(solve: Solver, given: Puzzle, expected: tuple[int, ...]) -> None:
    assert seated(solve, given) == expected


def test_bytes_by_the_exabyte_do_not_overflow(solve: Solver) -> None:
    amount = (1 << 62) - 1
    given = puzzle(
        amount, amount, groups=(group(3, 9, 9, need=amount // 2), group(9, 9, 9, need=amount // 3))
    )
    answer = solve(given)
    assert answer is None or faults(given, answer.seats) == []


def test_many_small_tiers_are_solved_together_and_in_order(solve: Solver) -> None:
    given = puzzle(20, 20, groups=tuple(group(3, 9, 9, need=1 + tier % 3, tier=tier) for tier in range(40)))
    answer = solve(given)
    assert complaints(given, answer) == []
    assert answer is not None
    assert by_tier(given, answer.seats)[:6] == (3,) * 6


@st.composite
def tiny(draw: st.DrawFn) -> Puzzle:
    hosts = draw(st.integers(1, 3))
    some = st.integers(0, 3)
    domains = st.tuples(*[st.integers(-1, 1)] * hosts)

    def one() -> Group:
        rules = draw(st.lists(st.tuples(domains, some, some, st.integers(1, 2)), max_size=1))
        return Group(
            needs=(draw(some), draw(some) * 1000),
            count=draw(st.integers(0, 2)),
            tier=draw(st.integers(0, 2)),
            room=draw(st.tuples(*[st.integers(0, 2)] * hosts)),
            evenness=tuple(Evenness(domains=d, standing=(a, b), max_skew=skew) for d, a, b, skew in rules),
        )

    groups = tuple(one() for _ in range(draw(st.integers(1, 3))))
    index = st.integers(0, len(groups) - 1)
    pair = st.builds(Pair, first=index, second=index, domains=domains)
    close = st.builds(
        Pair,
        first=index,
        second=index,
        domains=domains,
        free=st.frozensets(st.integers(0, hosts - 1), max_size=1),
    )
    free = st.tuples(st.integers(-1, 5), st.integers(-1000, 5500))
    return Puzzle(
        free=draw(st.tuples(*[free] * hosts)),
        groups=groups,
        apart=tuple(draw(st.lists(pair, max_size=2))),
        near=tuple(draw(st.lists(close, max_size=2))),
    )


@settings(max_examples=120, deadline=None, derandomize=True)
@given(tiny())
def test_it_is_the_best_of_all_seatings(given: Puzzle) -> None:
    assert seated(fresh(), given) == best(given)


@pytest.mark.parametrize("seed", range(15))
def test_what_is_known_to_fit_is_seated(solve: Solver, seed: int) -> None:
    given = planted(seed)
    assert sum(seated(solve, given)) == sum(one.count for one in given.groups)


@pytest.mark.parametrize("seed", range(15))
def test_a_tight_fleet_is_settled(solve: Solver, seed: int) -> None:
    seated(solve, tight(seed))


def test_the_same_puzzle_has_the_same_answer() -> None:
    for seed in range(3):
        assert fresh()(tight(seed)) == fresh()(tight(seed))


def test_a_puzzle_that_was_answered_costs_nothing() -> None:
    solve = fresh()
    first = solve(planted(3))
    began = perf_counter()
    again = [solve(replace(planted(3))) for _ in range(3)]
    assert perf_counter() - began < 0.5
    assert all(one is first for one in again)


def test_no_time_is_no_answer_or_an_honest_one() -> None:
    made = exact.solver(0.001)
    assert made is not None
    given = tight(38)
    answer = made(given)
    assert answer is None or (not answer.proved and faults(given, answer.seats) == [])


def test_what_is_too_large_is_not_begun(solve: Solver) -> None:
    assert solve(puzzle(*[9] * 300, groups=(group(9, *[9] * 300),) * 80)) is None


def test_the_checker_finds_what_is_wrong() -> None:
    given = puzzle(2, 2, groups=(group(3, 1, 3),), apart=(Pair(first=0, second=0, domains=(-1, -1)),))
    assert len(faults(given, ((2, 3),))) == 4
    assert complaints(given, Answer(seats=((1, 1),), proved=False)) == ["not proved"]


def test_without_the_library_it_says_what_to_install() -> None:
    code = (
        "import sys\nsys.modules['ortools'] = None\nfrom rota import exact\n"
        "print(exact.solver(), exact.missing())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(OPERATOR)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.startswith("None ")
    assert "pip install 'rota[exact]'" in done.stdout


def test_the_library_is_imported_when_it_is_asked_for() -> None:
    code = "import sys\nfrom rota import exact\nassert 'ortools' not in sys.modules\n"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(OPERATOR)}, check=True, timeout=60)
