"""Many workloads packed together, host by host, so that few hosts are used and nothing is stranded.

Best fit, workload by workload, strands cpu beside full memory: with two resources no order of sizes is
good. Here each host is filled by what fits the *shape* of its free rest: again and again the workload
whose (cpu, memory) direction has the largest cosine with the free rest is added, half of what still fits
at a time. The geometric heuristics of vector bin packing (Panigrahy et al., "Heuristics for Vector Bin
Packing", 2011) taken host-centric; what can go to few hosts only gets a bonus.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rota.core.placement.board import NO_LIMIT, NONE, Board, Tally
from rota.core.placement.demand import Demand
from rota.core.placement.domains import domain_counts, open_domains
from rota.core.placement.feasibility import admitted
from rota.core.placement.rank import fill_evenly
from rota.core.placement.terrain import Floats, Ints, Mask
from rota.core.rules import HOST_SCOPE

BONUS_FEW_HOSTS = 0.35
"""Added to the cosine of what is admitted by few hosts, or only once by each."""


BONUS_SIZE = 0.35
"""Added to the cosine of the largest request, in proportion to that of others: what is small fills gaps."""


def packs_with_others(demand: Demand, board: Board) -> bool:
    """Whether a demand can be packed here: nothing binds it to one host or to where others are."""
    rules = demand.service.placement
    return (
        demand.pinned_to is None
        and not demand.prefer
        and not demand.replaces
        and not demand.shunned
        and not any(one.required for one in rules.affinity)
        and sum(one.hard for one in rules.spread) <= 1
        and all(rival.scope == HOST_SCOPE for rival in board.rivals.get(demand.service.id, ()))
    )


@dataclass(slots=True)
class _Pool:
    """The workloads still to be packed, one row each.

    `left` is what each may still get in each domain: the first column for all hosts together, or one for
    each domain of its hard spread; `keys` picks the row of `columns` that says from which column a host
    draws. `kinds` are masks of hosts, `kind` picks the one that admits it; `most` is how many of it one
    host takes, `less` how many fewer where it stands already; `excludes` who may not come beside it.
    """

    needs: Floats
    directions: Floats
    bonus: Floats
    left: Ints
    keys: Ints
    columns: Ints
    kind: Ints
    kinds: Mask
    most: Ints
    less: dict[int, list[tuple[int, int]]]
    excludes: dict[int, Ints]


def pack_together(demands: Sequence[Demand], board: Board) -> list[Tally]:
    """How many of each demand each host takes now. The board is not changed; what did not fit is left."""
    if not demands:
        return []
    pool = _pool(demands, board)
    free = board.free(after=False).astype(np.float64)
    scale = np.maximum(board.capacity.max(axis=0, initial=1), 1).astype(np.float64)
    taken: list[tuple[int, int, int]] = []
    smallest = pool.needs.min(axis=0)
    for row in _host_order(board).tolist():
        if (free[row] >= smallest).all():
            taken += _fill_host(row, free[row], scale, pool)
            if not pool.left.any():
                break
    return [
        _within_skew(demand, board, tally)
        for demand, tally in zip(demands, _tallies(taken, len(demands)), strict=True)
    ]


def _fill_host(row: int, free: Floats, scale: Floats, pool: _Pool) -> list[tuple[int, int, int]]:
    """Fill one host; `pool.left` is lowered by what it takes."""
    column = pool.columns[pool.keys, row]
    left = pool.left[np.arange(len(column)), column]
    most = np.minimum(left, pool.most)
    for workload, standing in pool.less.get(row, ()):
        most[workload] = min(most[workload], max(int(pool.most[workload]) - standing, 0))
    candidates = np.flatnonzero(pool.kinds[pool.kind, row] & (most > 0))
    needs, directions, bonus = pool.needs[candidates], pool.directions[candidates], pool.bonus[candidates]
    taken = []
    while len(candidates):
        count = most[candidates].astype(np.float64)
        for dimension, amount in enumerate(free.tolist()):
            np.minimum(count, amount / needs[:, dimension], out=count)
        keep = count >= 1.0
        if not keep.all():
            candidates, count = candidates[keep], count[keep]
            needs, directions, bonus = needs[keep], directions[keep], bonus[keep]
            if not len(candidates):
                break
        rest = free / scale
        score = directions @ rest + bonus * max(float(np.sqrt(rest @ rest)), 1e-12)
        best = int(np.argmax(score))
        workload, amount = int(candidates[best]), (int(count[best]) + 1) // 2
        free = free - amount * pool.needs[workload]
        pool.left[workload, column[workload]] -= amount
        most[workload] -= amount
        taken.append((workload, row, amount))
        rivals = pool.excludes.get(workload)
        if rivals is not None:
            most[rivals] = 0
    return taken


def _pool(demands: Sequence[Demand], board: Board) -> _Pool:
    needs = np.array([board.vector(demand.service.requests) for demand in demands], np.float64)
    scale = np.maximum(board.capacity.max(axis=0, initial=1), 1)
    shares = needs / scale
    directions = shares / np.maximum(np.linalg.norm(shares, axis=1, keepdims=True), 1e-12)
    rooms, kind, most = _rooms(demands, board)
    left, keys, columns = _shares(demands, board, rooms, kind)
    few = 1.0 - rooms.mean(axis=1)[kind]
    return _Pool(
        needs=np.maximum(needs, 1e-9),
        directions=directions,
        bonus=BONUS_FEW_HOSTS * (few + (most < NO_LIMIT)) + BONUS_SIZE * _sizes(shares),
        left=left,
        keys=keys,
        columns=columns,
        kind=kind,
        kinds=rooms,
        most=most,
        less=_standing(demands, board),
        excludes=_excludes(demands, board),
    )


def _sizes(shares: Floats) -> Floats:
    """How large each request is, as a share of the largest."""
    largest = shares.max(axis=1)
    return np.asarray(largest / max(float(largest.max(initial=0.0)), 1e-12))


def _rooms(demands: Sequence[Demand], board: Board) -> tuple[Mask, Ints, Ints]:
    """Which hosts admit which kind of demand, the kind of each demand, and how many one host takes."""
    kinds: dict[bytes, int] = {}
    masks: list[Mask] = []
    kind, most = [], []
    for demand in demands:
        room = admitted(demand, board, after=False)
        mask = room > 0
        key = mask.tobytes()
        if key not in kinds:
            kinds[key] = len(masks)
            masks.append(mask)
        kind.append(kinds[key])
        most.append(_per_host(demand, board))
    return np.array(masks), np.array(kind), np.array(most)


def _per_host(demand: Demand, board: Board) -> int:
    """How many of its kind any host takes that has none of them yet."""
    limit = demand.service.placement.max_per_host
    once = demand.service.container.fixed_ports or any(
        rival.workload == demand.service.id for rival in board.rivals.get(demand.service.id, ())
    )
    return min(int(NO_LIMIT) if limit is None else limit, 1 if once else int(NO_LIMIT))


def _standing(demands: Sequence[Demand], board: Board) -> dict[int, list[tuple[int, int]]]:
    """By host, what stands there already of a demand that has a limit per host."""
    result: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for at, demand in enumerate(demands):
        if demand.service.placement.max_per_host is not None:
            tally = board.tallies.get(demand.service.id, NONE)
            for row, count in zip(tally.rows.tolist(), tally.counts.tolist(), strict=True):
                result[row].append((at, count))
    return result


def _shares(demands: Sequence[Demand], board: Board, rooms: Mask, kind: Ints) -> tuple[Ints, Ints, Ints]:
    """What each demand may get by column, the key of its hard spread by number, and by key the column
    that each host draws from. Evenness is shared out over the domains beforehand."""
    hard = [next((one for one in demand.service.placement.spread if one.hard), None) for demand in demands]
    keys = sorted({one.key for one in hard if one is not None})
    columns = np.zeros((1 + len(keys), len(board.hosts)), np.int64)
    for number, key in enumerate(keys):
        columns[1 + number] = board.domains(key).codes + 1
    left = np.zeros((len(demands), int(columns.max(initial=0)) + 1), np.int64)
    for at, (demand, spread) in enumerate(zip(demands, hard, strict=True)):
        if spread is None:
            left[at, 0] = demand.count
            continue
        hosts = np.array([int(rooms[kind[at], rows].sum()) for rows in board.domains(spread.key).members])
        each = min(_per_host(demand, board), int(NO_LIMIT) // max(len(board.hosts), 1))
        room = np.where(open_domains(demand, board, spread.key), hosts * each, 0)
        standing = domain_counts(board, demand.service.id, spread.key)[:-1]
        left[at, 1 : 1 + len(room)] = fill_evenly(standing, room, demand.count, np.arange(len(room)))
    return left, np.array([0 if one is None else 1 + keys.index(one.key) for one in hard]), columns


def _excludes(demands: Sequence[Demand], board: Board) -> dict[int, Ints]:
    """Who may not share a host with whom: the same fixed port, or anti-affinity between workloads."""
    places = {demand.service.id: at for at, demand in enumerate(demands)}
    users: dict[object, list[int]] = defaultdict(list)
    result: dict[int, set[int]] = defaultdict(set)
    for at, demand in enumerate(demands):
        for port in demand.service.container.fixed_ports:
            users[port].append(at)
        for rival in board.rivals.get(demand.service.id, ()):
            if rival.workload in places:
                result[at].add(places[rival.workload])
    for group in users.values():
        for at in group:
            result[at].update(group)
    return {at: np.array(sorted(others)) for at, others in result.items() if others}


def _host_order(board: Board) -> Ints:
    """Hosts that run something first, the fullest of them first, then the largest of the empty ones."""
    largest = np.maximum(board.capacity[:, :2].max(axis=0, initial=1), 1)
    free = (board.free_after[:, :2] / largest).sum(axis=1)
    empty = (board.free_after[:, :2] >= board.capacity[:, :2]).all(axis=1)
    order = np.lexsort((np.arange(len(free)), np.where(empty, -free, free), empty))
    return np.asarray(order)


def _tallies(taken: Iterable[tuple[int, int, int]], count: int) -> list[Tally]:
    per_demand: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for workload, row, amount in taken:
        per_demand[workload][row] += amount
    result = []
    for at in range(count):
        seats = sorted(per_demand[at].items()) if at in per_demand else []
        result.append(
            Tally(np.array([row for row, _ in seats]), np.array([amount for _, amount in seats]))
            if seats
            else NONE
        )
    return result


def _within_skew(demand: Demand, board: Board, tally: Tally) -> Tally:
    """Where a domain got less than its share, the others give back what would make them uneven."""
    hard = next((one for one in demand.service.placement.spread if one.hard), None)
    if hard is None or not len(tally.rows):
        return tally
    codes = board.domains(hard.key).codes[tally.rows]
    standing = domain_counts(board, demand.service.id, hard.key)[:-1]
    totals = standing + np.bincount(codes, weights=tally.counts, minlength=len(standing)).astype(np.int64)
    open_ones = open_domains(demand, board, hard.key)
    highest = int(totals[open_ones].min()) + hard.max_skew if open_ones.any() else 0
    counts = tally.counts.copy()
    for code in np.flatnonzero(totals > highest).tolist():
        too_many = min(int(totals[code]) - highest, int(totals[code] - standing[code]))
        for at in np.flatnonzero(codes == code)[::-1].tolist():
            back = min(too_many, int(counts[at]))
            counts[at] -= back
            too_many -= back
    kept = counts > 0
    return Tally(tally.rows[kept], counts[kept])
