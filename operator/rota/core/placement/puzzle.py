"""A small placement as plain numbers, for a solver that searches it exhaustively.

The core states the puzzle and reads the answer; the solver itself is an adapter, and optional.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Evenness:
    """A hard spread: no domain may end with more than `max_skew` above the one with the fewest.

    `domains` gives each host its domain number, -1 where it has none (it takes nothing then);
    `standing` counts the instances that each domain has already.
    """

    domains: tuple[int, ...]
    standing: tuple[int, ...]
    max_skew: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two groups, by index, that must not share a domain (`apart`), or of which the first may only be in
    a domain that has the second (`near`). The same index twice in `apart`: at most one a domain.

    `domains` gives each host its domain number; -1: the host shares its domain with no other.
    `free` are the hosts on which a `near` is met already by what stands there.
    """

    first: int
    second: int
    domains: tuple[int, ...]
    free: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """`count` equal instances. `needs` is by dimension; `room` says how many each host may take at most,
    by everything that concerns this group and that host alone. `tier` 0 is the highest priority."""

    needs: tuple[int, ...]
    count: int
    tier: int
    room: tuple[int, ...]
    evenness: tuple[Evenness, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Puzzle:
    """Groups to seat on hosts with so much `free`, by host and dimension."""

    free: tuple[tuple[int, ...], ...]
    groups: tuple[Group, ...]
    apart: tuple[Pair, ...] = ()
    near: tuple[Pair, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Instances by group and host. `proved`: nobody can seat more of a tier without taking from a higher
    one; otherwise the search ended at its deadline with the best that it had found."""

    seats: tuple[tuple[int, ...], ...]
    proved: bool


Solver = Callable[[Puzzle], Answer | None]
"""Deterministic: the same puzzle has the same answer, on every machine. None: nothing was found in time."""
