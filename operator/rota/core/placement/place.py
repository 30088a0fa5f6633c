"""Places what needs a host, in order of precedence, and says why the rest has none.

One order of service rarely serves all: where something is left over, what failed is served first, then
everything is packed densely, and a small fleet is searched exhaustively where a solver is at hand. The
best of these stands: fewest unplaced of the highest priority, then of the next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rota.core.placement.board import NONE, Board, Tally
from rota.core.placement.demand import Demand, Seating, tiers
from rota.core.placement.exhaust import MOST_HOSTS, search
from rota.core.placement.feasibility import room
from rota.core.placement.pack import pack_together, packs_with_others
from rota.core.placement.puzzle import Solver
from rota.core.placement.refusals import refusals
from rota.core.placement.seat import seat
from rota.core.rules import Strategy

MOST_ATTEMPTS = 10
"""Orders of service that are tried at most."""

ATTEMPT_CELLS = 3_000_000
"""Demands × hosts that all further attempts may look at together: a large fleet gets fewer of them."""


@dataclass(slots=True)
class Trial:
    """One attempt: the board it leads to, and seats by the demand's place in the list."""

    board: Board
    now: dict[int, Tally] = field(default_factory=dict)
    later: dict[int, Tally] = field(default_factory=dict)
    _seated: dict[int, int] = field(default_factory=dict)

    def seated(self, at: int) -> int:
        return self._seated.get(at, 0)

    def put(self, at: int, demand: Demand, tally: Tally, *, after: bool) -> None:
        """Take seats on the board and keep them, added to what the demand has."""
        if not len(tally.rows):
            return
        self.board.seat(demand.service, tally.rows, tally.counts)
        self.board.leave(demand, tally)
        kept = self.later if after else self.now
        kept[at] = kept[at].plus(tally) if at in kept else tally
        self._seated[at] = self.seated(at) + int(tally.counts.sum())


Numbered = tuple[int, Demand]
Order = Sequence[Sequence[Numbered]]
"""Demands with their places in the list, in the order of service, by priority."""


def place(demands: Sequence[Demand], board: Board, solver: Solver | None = None) -> list[Seating]:
    """Seats for `demands`, in their order; the board is changed as they are taken.

    What fits only after others have left keeps that room: nobody behind it gets it. `solver` is asked
    where everything else leaves something over, on fleets of at most `MOST_HOSTS` hosts.
    """
    order = [[(at, demands[at]) for at in tier] for tier in tiers(demands)]
    start = board.checkpoint()
    best = _serve(order, board)
    if _unplaced(order, best):
        hopeless = _hopeless(order, start)
        trials = _further(order, best, start, solver)
        while any(best.seated(at) + hopeless[at] < demand.count for tier in order for at, demand in tier):
            trial = next(trials, None)
            if trial is None:
                break
            best = min(best, trial, key=lambda one: [_unplaced([tier], one) for tier in order])
    board.become(best.board)
    return [_seating(at, demand, best) for at, demand in enumerate(demands)]


def _serve(order: Order, board: Board, strategy: Strategy | None = None) -> Trial:
    """Everyone once, in `order`: now, else once what leaves has left. With a `strategy`, all by that one."""
    trial = Trial(board)
    for tier in order:
        members = [(at, _by(demand, strategy)) for at, demand in tier]
        together = _packed_together(members, board, dense=strategy is Strategy.PACK)
        group = [(at, demand) for at, demand in members if at in together]
        others = [(at, demand) for at, demand in members if at not in together]
        followers = [one for one in others if _follows(one[1])]
        for at, demand in others:
            if not _follows(demand):
                _serve_one(at, demand, trial)
        tallies = pack_together([demand for _, demand in group], trial.board)
        for (at, demand), tally in zip(group, tallies, strict=True):
            trial.put(at, demand, tally, after=False)
        for at, demand in (*group, *followers):
            _serve_one(at, demand, trial)
    return trial


def _by(demand: Demand, strategy: Strategy | None) -> Demand:
    rules = demand.service.placement
    if strategy in (None, rules.strategy):
        return demand
    return replace(demand, service=replace(demand.service, placement=replace(rules, strategy=strategy)))


def _follows(demand: Demand) -> bool:
    """Whether it can only go where another workload is."""
    return any(one.required for one in demand.service.placement.affinity)


def _packed_together(members: Sequence[Numbered], board: Board, *, dense: bool) -> set[int]:
    """Who is packed host by host. Few instances among many hosts fit better one workload at a time: then
    the tightest hosts are found at once, and going through all of them is not worth it."""
    times = Counter(demand.service.id for _, demand in members)
    packs = {
        at: demand
        for at, demand in members
        if times[demand.service.id] == 1
        and (dense or demand.service.placement.strategy is Strategy.PACK)
        and packs_with_others(demand, board)
    }
    many = sum(demand.count for demand in packs.values()) >= len(board.hosts)
    return set(packs) if len(packs) > 1 and (many or dense) else set()


def _serve_one(at: int, demand: Demand, trial: Trial) -> None:
    for after in (True,) if demand.patient else (False, True):
        left = demand.count - trial.seated(at)
        if left > 0:
            given = seat(demand, trial.board, left, after=after)
            rows = np.flatnonzero(given > 0)
            trial.put(at, demand, Tally(rows, given[rows]), after=after)


# --- when something is left over


def _further(order: Order, first: Trial, start: Board, solver: Solver | None) -> Iterator[Trial]:
    """Other ways to serve the same demands, each from the start. To have a place at all is worth more than
    to have it where the strategy would: so everybody spreads, or everybody packs."""
    cells = max(sum(map(len, order)) * len(start.hosts), 1)
    attempts = max(min(ATTEMPT_CELLS // cells, MOST_ATTEMPTS), 1)
    trial, canonical = first, order
    tried: dict[tuple[int, ...], Trial] = {}
    for number in range(attempts):
        if number == 1:
            yield _serve(order, start.checkpoint(), Strategy.PACK)
        order = [sorted(tier, key=lambda one: trial.seated(one[0]) >= one[1].count) for tier in order]
        places = tuple(at for tier in order for at, _ in tier)
        if places in tried:  # soon no other order comes up, and the same one gives the same seats
            trial = tried[places]
            continue
        trial = tried[places] = _serve(order, start.checkpoint(), Strategy.SPREAD)
        yield trial
    if attempts > 1:
        yield _serve(_choosy_first(order, start), start.checkpoint(), Strategy.SPREAD)
    else:
        yield _serve(order, start.checkpoint(), Strategy.PACK)
    if solver is not None and len(start.hosts) <= MOST_HOSTS and not _asked_twice(order):
        found = search(canonical, start, solver)
        if found is not None:
            yield _take_over(found, order, start.checkpoint())


def _asked_twice(order: Order) -> bool:
    """Whether a workload has several demands: the puzzle would not know that they share its limits."""
    workloads = [demand.service.id for tier in order for _, demand in tier]
    return len(set(workloads)) < len(workloads)


def _choosy_first(order: Order, start: Board) -> Order:
    """Within a priority, those that the fewest hosts admit first."""
    hosts = {at: int((room(demand, start, after=True) > 0).sum()) for tier in order for at, demand in tier}
    return [sorted(tier, key=lambda one: hosts[one[0]]) for tier in order]


def _take_over(found: dict[int, Tally], order: Order, board: Board) -> Trial:
    """The seats of a search, now where there is room now."""
    trial = Trial(board)
    for at, demand in (one for tier in order for one in tier):
        tally = found.get(at, NONE)
        needs = board.vector(demand.service.requests)
        for row, count in zip(tally.rows.tolist(), tally.counts.tolist(), strict=True):
            free = board.free(after=False)[row]
            asked = needs > 0
            now = min(count, max(int((free[asked] // needs[asked]).min(initial=count)), 0))
            for amount, after in ((now, False), (count - now, True)):
                if amount:
                    trial.put(at, demand, Tally(np.array([row]), np.array([amount])), after=after)
    return trial


def _hopeless(order: Order, start: Board) -> dict[int, int]:
    """How many of each demand had no seat even if it had been served before all others.

    What must be with others may find them only once these have theirs: of it nothing is known.
    """
    return {
        at: 0 if _follows(demand) else demand.count - int(seat(demand, start, demand.count, after=True).sum())
        for tier in order
        for at, demand in tier
    }


def _unplaced(order: Order, trial: Trial) -> int:
    return sum(demand.count - trial.seated(at) for tier in order for at, demand in tier)


# --- the answer


def _seating(at: int, demand: Demand, trial: Trial) -> Seating:
    unplaced = demand.count - trial.seated(at)
    return Seating(
        demand=demand,
        now=_by_name(trial.now.get(at, NONE), trial.board),
        later=_by_name(trial.later.get(at, NONE), trial.board),
        unplaced=unplaced,
        refusals=refusals(replace(demand, count=unplaced), trial.board) if unplaced else (),
    )


def _by_name(tally: Tally, board: Board) -> dict[str, int]:
    return {
        board.hosts[row].name: count
        for row, count in zip(tally.rows.tolist(), tally.counts.tolist(), strict=True)
    }
