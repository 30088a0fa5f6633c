"""Solve a small placement exactly, with OR-Tools CP-SAT (the optional extra `rota[exact]`).

Everything is seated in most puzzles, so that is tried first, in several short ways: hard packings are either
quick or very slow in any one way, and which is which differs from way to way. What cannot all be seated is
then maximised tier by tier.

Effort is limited in CP-SAT's deterministic time, which counts work and not seconds, in one thread with fixed
seeds: so the same puzzle has the same answer everywhere. The wall clock is a safety net for slow machines.
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from rota.core.placement.puzzle import Answer, Evenness, Pair, Puzzle, Solver

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

SECONDS = 10.0
EFFORT_PER_SECOND = 0.3  # in deterministic time: an idle core of 2021 does 0.4 to 0.6 of it
NET = 0.9  # the part of the seconds after which the wall clock ends the search; the rest builds models
FIRST, LOCAL = 1 / 8, 1 / 3  # of all effort: what a way of seating everything may take, and a local search
LARGEST = 20_000  # variables (groups × hosts) beyond which a search is not worth beginning
BLOCK = 1_000_000  # the greatest weight in one objective, which small tiers share
PARTS = (1, 2, 3)  # what needs over 1/2, 1/3, 1/4 of a host fits so often: implied, but cuts searches short
REMEMBERED = 8

Seats = tuple[tuple[int, ...], ...]
"""Instances by group and host."""


class _Way(NamedTuple):
    """One way to search: the order in which groups and hosts are tried, and how bounds are worked out.
    `local`: by mending what is wrong with a first guess, which finds tight packings and proves nothing."""

    by_sum: bool = True
    emptiest_last: bool = False
    rounded: bool = False
    cut_level: int = 1
    linearization_level: int = 1
    seed: int = 1
    local: bool = False


WAYS = (
    _Way(local=True),
    _Way(),
    _Way(by_sum=False, rounded=True),
    _Way(by_sum=False, cut_level=0),
    _Way(rounded=True),
    _Way(emptiest_last=True),
)
TIER_WAYS = (_Way(), _Way(linearization_level=2), _Way(by_sum=False, cut_level=0, seed=2))


def solver(seconds: float = SECONDS) -> Solver | None:
    """What solves a puzzle within about `seconds` on the wall, or None where OR-Tools is not installed. It
    remembers its last few puzzles: a pass must not search again for what it knows or could not find."""
    if _library() is None:
        return None

    @functools.lru_cache(maxsize=REMEMBERED)
    def solve(puzzle: Puzzle) -> Answer | None:
        return _Search(puzzle, _most(puzzle), seconds * EFFORT_PER_SECOND, seconds * NET).answer()

    return solve


def on_demand(seconds: float = SECONDS) -> Solver:
    """`solver`, looked for only once a puzzle is asked: OR-Tools is large, and slow to load."""
    found = functools.cache(functools.partial(solver, seconds))
    return lambda puzzle: solve(puzzle) if (solve := found()) is not None else None


def missing() -> str:
    """What to do where `solver` is None."""
    return "OR-Tools is not installed, which an exact placement needs: pip install 'rota[exact]'."


@functools.cache
def _library() -> Any:
    """OR-Tools' module, imported when it is first asked for (it takes a third of a second), or None."""
    try:
        from ortools.sat.python import cp_model  # noqa: PLC0415 - optional, and slow
    except ImportError:
        return None
    return cp_model


def _sum(seats: Sequence[cp_model.IntVar]) -> cp_model.LinearExpr:
    return cast("cp_model.LinearExpr", _library().LinearExpr.sum(seats))


class _Result(NamedTuple):
    """Seats, if any were found; `proved`: no better ones exist, or none at all."""

    seats: Seats | None
    proved: bool


@dataclass(slots=True)
class _Search:
    """One puzzle, and what is left for it: `work` in deterministic time, `wall` in seconds."""

    puzzle: Puzzle
    most: Sequence[Sequence[int]]
    work: float
    wall: float

    def answer(self) -> Answer | None:
        if sum(1 for row in self.most for limit in row if limit) > LARGEST:
            return None
        seats, proved = self._everything()
        if seats is None:
            seats, proved = self._by_tier()
        return None if seats is None else Answer(seats=seats, proved=proved)

    def _everything(self) -> _Result:
        if _too_much(self.puzzle, self.most):
            return _Result(None, proved=True)
        whole = self.work
        for way in WAYS:
            model = _Model(self.puzzle, self.most, range(len(self.puzzle.groups)), way)
            model.seat_all()
            result = self._run(model, whole * (LOCAL if way.local else FIRST))
            if result.seats is not None or result.proved:
                return result
        return _Result(None, proved=False)

    def _by_tier(self) -> _Result:
        """As many as possible of tier 0, then of tier 1 without taking from it, and so on."""
        best = _Result(None, proved=True)
        kept: dict[int, int] = {}
        blocks = _blocks(self.puzzle)
        for block in blocks:
            share = self.work if block is blocks[-1] else self.work / 2
            seats, proved = self._maximised(block, best.seats, kept, share)
            if seats is None:
                return _Result(best.seats, proved=False)
            best = _Result(seats, proved=best.proved and proved)
            kept |= zip(block, _counts(self.puzzle, seats, block), strict=True)
        return best

    def _maximised(
        self, block: Sequence[int], best: Seats | None, kept: Mapping[int, int], share: float
    ) -> _Result:
        """The most of the tiers of `block`, and no fewer than `kept` of others, in one way after the other:
        each begins where the last one ended, the first where higher tiers ended."""
        end = self.work - share
        groups = _up_to(self.puzzle, block[-1])
        for left, way in zip(range(len(TIER_WAYS), 0, -1), TIER_WAYS, strict=True):
            model = _Model(self.puzzle, self.most, groups, way)
            model.maximise(block, best, kept)
            seats, proved = self._run(model, (self.work - end) / left)
            if proved:
                return _Result(seats, proved=seats is not None)
            found = [one for one in (best, seats) if one is not None]
            best = max(found, key=lambda one: _counts(self.puzzle, one, block), default=None)
        return _Result(best, proved=False)

    def _run(self, model: _Model, share: float) -> _Result:
        """Search with at most `share` of the work; half of the wall time is left to what follows."""
        library = _library()
        search: cp_model.CpSolver = library.CpSolver()
        wall = self.wall if share >= self.work else self.wall / 2
        search.parameters.num_workers = 1
        search.parameters.random_seed = model.way.seed
        search.parameters.cut_level = model.way.cut_level
        search.parameters.linearization_level = model.way.linearization_level
        if model.way.local:
            search.parameters.use_ls_only = True
            search.parameters.cp_model_probing_level = search.parameters.symmetry_level = 0
        search.parameters.max_deterministic_time = max(share, 0.0)
        search.parameters.max_time_in_seconds = max(wall, 0.0)
        status = search.solve(model.model)
        self.work -= search.deterministic_time
        self.wall -= search.wall_time
        if status not in (library.OPTIMAL, library.FEASIBLE):
            return _Result(None, proved=status == library.INFEASIBLE)
        seats = [[0] * len(self.puzzle.free) for _ in self.puzzle.groups]
        for (group, host), seat in model.seats.items():
            seats[group][host] = search.value(seat)
        return _Result(tuple(map(tuple, seats)), proved=status == library.OPTIMAL)


def _counts(puzzle: Puzzle, seats: Seats, tiers: Sequence[int]) -> list[int]:
    """Instances seated of each of `tiers`."""
    by_group = [(group.tier, sum(row)) for group, row in zip(puzzle.groups, seats, strict=True)]
    return [sum(count for tier, count in by_group if tier == wanted) for wanted in tiers]


def _blocks(puzzle: Puzzle) -> list[list[int]]:
    """Tiers, highest first, those together that weights can tell apart: each solve has its fixed price."""
    blocks: list[list[int]] = []
    product = 1
    for tier in sorted({group.tier for group in puzzle.groups}):
        product *= 1 + _wanted(puzzle, tier)
        if not blocks or product > BLOCK:
            blocks.append([])
            product = 1 + _wanted(puzzle, tier)
        blocks[-1].append(tier)
    return blocks


def _wanted(puzzle: Puzzle, tier: int) -> int:
    return sum(group.count for group in puzzle.groups if group.tier == tier)


def _up_to(puzzle: Puzzle, tier: int) -> list[int]:
    """The groups that have a say in what of `tier` and above is seated: those, and whom they must be near."""
    chosen = {index for index, group in enumerate(puzzle.groups) if group.tier <= tier}
    while new := {pair.second for pair in puzzle.near if pair.first in chosen} - chosen:
        chosen |= new
    return sorted(chosen)


def _most(puzzle: Puzzle) -> list[list[int]]:
    """How many of each group each host could take if it took nothing else. A host that is overdrawn in one
    dimension has none of it, not less: what needs nothing of it may come."""
    most = []
    for group in puzzle.groups:
        row = []
        for host, room in enumerate(group.room):
            needed = [pair for pair in zip(group.needs, puzzle.free[host], strict=True) if pair[0]]
            fits = min((max(free, 0) // need for need, free in needed), default=room)
            lost = any(evenness.domains[host] < 0 for evenness in group.evenness)
            row.append(0 if lost else max(0, min(group.count, room, fits)))
        most.append(row)
    for pair in puzzle.apart:
        if pair.first == pair.second:
            most[pair.first] = [min(1, limit) for limit in most[pair.first]]
    return most


def _too_much(puzzle: Puzzle, most: Sequence[Sequence[int]]) -> bool:
    """Whether counting alone proves that not everything finds a seat."""
    counts = [group.count for group in puzzle.groups]
    return any(sum(row) < count for row, count in zip(most, counts, strict=True)) or any(
        sum(group.needs[at] * group.count for group in puzzle.groups) > amount
        for at, amount in enumerate(_all_free(puzzle))
    )


def _all_free(puzzle: Puzzle) -> list[int]:
    """What all hosts have together, by dimension."""
    return [sum(max(amount, 0) for amount in amounts) for amounts in zip(*puzzle.free, strict=True)]


def _parts(domains: Sequence[int]) -> Iterable[tuple[int, ...]]:
    """The hosts of each domain; one without a domain is its own."""
    parts: dict[int, list[int]] = defaultdict(list)
    for host, domain in enumerate(domains):
        parts[domain if domain >= 0 else -1 - host].append(host)
    return [tuple(hosts) for hosts in parts.values()]


@dataclass(slots=True)
class _Model:
    """The CP-SAT model of some groups: a variable for each group and host that may have any of it."""

    puzzle: Puzzle
    most: Sequence[Sequence[int]]
    groups: Collection[int]
    way: _Way
    seats: dict[tuple[int, int], cp_model.IntVar] = field(default_factory=dict)
    hosts: range = field(init=False)
    model: cp_model.CpModel = field(init=False)

    def __post_init__(self) -> None:
        self.hosts = range(len(self.puzzle.free))
        self.model = _library().CpModel()
        for group in self.groups:
            for host, limit in enumerate(self.most[group]):
                if limit:
                    self.seats[group, host] = self.model.new_int_var(0, limit, "")
        for host, free in enumerate(self.puzzle.free):
            for dimension, amount in enumerate(free):
                self._room(host, dimension, max(amount, 0))
        for group in self.groups:
            for evenness in self.puzzle.groups[group].evenness:
                self._even(group, evenness)
        for pair in self.puzzle.apart:
            self._apart(pair)
        for pair in self.puzzle.near:
            self._near(pair)
        if not self.way.local:
            self._order()

    def _room(self, host: int, dimension: int, free: int) -> None:
        """What one host has of one dimension. Dividing by what all amounts share keeps numbers small, and
        rounds off the part of `free` that nothing could use."""
        needs = {
            group: need
            for group in self.groups
            if (group, host) in self.seats and (need := self.puzzle.groups[group].needs[dimension])
        }
        unit = math.gcd(*needs.values()) or 1
        free //= unit
        needs = {group: need // unit for group, need in needs.items()}
        if sum(need * self.most[group][host] for group, need in needs.items()) <= free:
            return
        rows = [(needs, free)]
        if self.way.rounded:
            rows += [({g: n * (k + 1) // (free + 1) for g, n in needs.items()}, k) for k in PARTS]
        seats = [self.seats[group, host] for group in needs]
        for weights, limit in rows:
            self.model.add(_library().LinearExpr.weighted_sum(seats, list(weights.values())) <= limit)

    def _even(self, group: int, evenness: Evenness) -> None:
        """`low` is at most the fewest of any domain. One that is too high already may be given nothing."""
        if not evenness.standing:
            return
        fewest, count = min(evenness.standing), self.puzzle.groups[group].count
        low = self.model.new_int_var(fewest, fewest + count, "")
        for domain, standing in enumerate(evenness.standing):
            hosts = (host for host, at in enumerate(evenness.domains) if at == domain)
            total = _sum(self._on(group, hosts))
            self.model.add(low <= total + standing)
            level = self.model.add(total + standing <= low + evenness.max_skew)
            if standing > fewest + evenness.max_skew:
                given = self.model.new_bool_var("")
                self.model.add(total <= count * given)
                level.only_enforce_if(given)

    def _apart(self, pair: Pair) -> None:
        for hosts in _parts(pair.domains):
            if pair.first == pair.second:
                self.model.add(_sum(self._on(pair.first, hosts)) <= 1)
                continue
            first, second = self._presence(pair.first, hosts), self._presence(pair.second, hosts)
            if first is not None and second is not None:
                self.model.add(first + second <= 1)

    def _near(self, pair: Pair) -> None:
        for hosts in _parts(pair.domains):
            first = self._presence(pair.first, (host for host in hosts if host not in pair.free))
            if first is not None:
                self.model.add(_sum(self._on(pair.second, hosts)) >= first)

    def _presence(self, group: int, hosts: Iterable[int]) -> cp_model.IntVar | None:
        """Whether any of `group` is on `hosts`: it must be 1 if so. None: there cannot be any."""
        able = [host for host in hosts if (group, host) in self.seats]
        if not able:
            return None
        if len(able) == 1 and self.most[group][able[0]] == 1:
            return self.seats[group, able[0]]
        present = self.model.new_bool_var("")
        for host in able:
            self.model.add(self.seats[group, host] <= self.most[group][host] * present)
        return present

    def _on(self, group: int, hosts: Iterable[int]) -> list[cp_model.IntVar]:
        return [self.seats[group, host] for host in hosts if (group, host) in self.seats]

    def _order(self) -> None:
        """Try what is largest first, on one host after the other: a packing by hand begins so, too."""
        size = sum if self.way.by_sum else max
        free = _all_free(self.puzzle)

        def share(group: int) -> float:
            needs = self.puzzle.groups[group].needs
            return -size([need / has for need, has in zip(needs, free, strict=False) if has] or [0])

        by_free = sorted(self.hosts, key=lambda host: self.puzzle.free[host])
        hosts = by_free if self.way.emptiest_last else self.hosts
        order = [seat for group in sorted(self.groups, key=share) for seat in self._on(group, hosts)]
        self.model.add_decision_strategy(order, _library().CHOOSE_FIRST, _library().SELECT_MAX_VALUE)

    def seat_all(self) -> None:
        """Ask that nothing be left out."""
        for group in self.groups:
            self.model.add(_sum(self._on(group, self.hosts)) == self.puzzle.groups[group].count)

    def maximise(self, tiers: Sequence[int], hint: Seats | None, kept: Mapping[int, int]) -> None:
        """Ask for as many as possible, one of a tier worth more than all of those after it in `tiers`, and no
        fewer of other tiers than are `kept`. The search begins at the `hint`."""
        for group in self.groups:
            self.model.add(_sum(self._on(group, self.hosts)) <= self.puzzle.groups[group].count)
        for tier, count in kept.items():
            self.model.add(_sum(self._of_tier(tier)) >= count)
        if hint is not None:
            for (group, host), seat in self.seats.items():
                self.model.add_hint(seat, hint[group][host])
        weight, terms, weights = 1, [], []
        for tier in reversed(tiers):
            seats = self._of_tier(tier)
            terms += seats
            weights += [weight] * len(seats)
            weight *= 1 + _wanted(self.puzzle, tier)
        self.model.maximize(_library().LinearExpr.weighted_sum(terms, weights))

    def _of_tier(self, tier: int) -> list[cp_model.IntVar]:
        return [seat for (group, _), seat in self.seats.items() if self.puzzle.groups[group].tier == tier]
