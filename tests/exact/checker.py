"""Judge an answer by the words of the contract alone, and find the best one by trying every seating."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from rota.core.placement.puzzle import Answer, Evenness, Pair, Puzzle

Seats = tuple[tuple[int, ...], ...]


def faults(puzzle: Puzzle, seats: Seats) -> list[str]:
    """Every rule that `seats` breaks, in words; none for a valid answer."""
    found: list[str] = []
    if len(seats) != len(puzzle.groups) or any(len(row) != len(puzzle.free) for row in seats):
        return ["the answer has another shape than the puzzle"]
    for number, (group, row) in enumerate(zip(puzzle.groups, seats, strict=True)):
        if min(row, default=0) < 0 or sum(row) > group.count:
            found.append(f"group {number}: more seats than instances, or fewer than none")
        if any(seated > room for seated, room in zip(row, group.room, strict=True)):
            found.append(f"group {number}: a host has more than it has room for")
        found += [f"group {number}: uneven" for one in group.evenness if not _even(one, row)]
    for host, free in enumerate(puzzle.free):
        for dimension, amount in enumerate(free):
            used = sum(g.needs[dimension] * row[host] for g, row in zip(puzzle.groups, seats, strict=True))
            if used > max(amount, 0):
                found.append(f"host {host}: dimension {dimension} is overdrawn")
    found += [f"{pair} share a domain" for pair in puzzle.apart if not _apart(pair, seats)]
    found += [f"{pair} are not near" for pair in puzzle.near if not _near(pair, seats)]
    return found


def _even(rule: Evenness, row: tuple[int, ...]) -> bool:
    new = [0] * len(rule.standing)
    for domain, seated in zip(rule.domains, row, strict=True):
        if domain < 0 and seated:
            return False
        if domain >= 0:
            new[domain] += seated
    final = [before + more for before, more in zip(rule.standing, new, strict=True)]
    return all(not more or end - min(final) <= rule.max_skew for more, end in zip(new, final, strict=True))


def _domain(pair: Pair, host: int) -> list[int]:
    """The hosts that share the domain of `host`, itself included."""
    number = pair.domains[host]
    return [host] if number < 0 else [other for other, at in enumerate(pair.domains) if at == number]


def _apart(pair: Pair, seats: Seats) -> bool:
    for host in range(len(pair.domains)):
        first = sum(seats[pair.first][other] for other in _domain(pair, host))
        second = sum(seats[pair.second][other] for other in _domain(pair, host))
        if (first > 1) if pair.first == pair.second else (first and second):
            return False
    return True


def _near(pair: Pair, seats: Seats) -> bool:
    return all(
        not seated or host in pair.free or any(seats[pair.second][other] for other in _domain(pair, host))
        for host, seated in enumerate(seats[pair.first])
    )


def by_tier(puzzle: Puzzle, seats: Seats) -> tuple[int, ...]:
    """Instances seated, by tier, highest first."""
    tiers = sorted({group.tier for group in puzzle.groups})
    return tuple(
        sum(sum(row) for group, row in zip(puzzle.groups, seats, strict=True) if group.tier == tier)
        for tier in tiers
    )


def best(puzzle: Puzzle) -> tuple[int, ...]:
    """The most that can be seated by tier, by trying everything: for the tiniest puzzles only."""
    choices = [list(_rows(group.count, group.room)) for group in puzzle.groups]
    return max(by_tier(puzzle, seats) for seats in product(*choices) if not faults(puzzle, seats))


def _rows(count: int, room: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    limits = [range(min(count, limit) + 1) for limit in room]
    return (row for row in product(*limits) if sum(row) <= count)


def complaints(puzzle: Puzzle, answer: Answer | None) -> list[str]:
    """The faults of an answer that must be there and must be proved."""
    if answer is None:
        return ["no answer"]
    return faults(puzzle, answer.seats) + ([] if answer.proved else ["not proved"])
