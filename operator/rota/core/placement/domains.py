"""Who is together with whom: on one host, or on hosts with the same value of a label."""

from __future__ import annotations

import numpy as np

from rota.core.ids import WorkloadId
from rota.core.model import Service
from rota.core.placement.board import NO_LIMIT, Board
from rota.core.placement.demand import Demand
from rota.core.placement.terrain import Ints, Mask
from rota.core.rules import HOST_SCOPE, Affinity, Spread


def together(board: Board, workload: WorkloadId, scope: str) -> Ints:
    """Instances of `workload` in the same domain as each host; a host without the label is alone."""
    counts = board.counts(workload)
    if scope == HOST_SCOPE or not counts.any():
        return counts
    codes = board.domains(scope).codes
    sums = np.bincount(codes + 1, weights=counts, minlength=len(board.domains(scope).values) + 1)
    return np.where(codes >= 0, sums[codes + 1], counts).astype(np.int64)


def skew_room(demand: Demand, board: Board, spread: Spread) -> Ints:
    """How many more each domain takes while no other changes; one more entry for hosts without a label."""
    totals = domain_counts(board, demand.service.id, spread.key)
    open_ones = open_domains(demand, board, spread.key)
    fewest = totals[:-1][open_ones].min() if open_ones.any() else 0
    return np.maximum(fewest + spread.max_skew - totals, 0)


def domain_counts(board: Board, workload: WorkloadId, key: str) -> Ints:
    """Instances of `workload` by domain, and as the last entry those on hosts without the label."""
    domains = board.domains(key)
    tally = board.tallies.get(workload)
    if tally is None:
        return np.zeros(len(domains.values) + 1, np.int64)
    sums = np.bincount(
        domains.places[tally.rows],
        weights=tally.counts,
        minlength=len(domains.values) + 1,
    )
    return sums.astype(np.int64)


def open_domains(demand: Demand, board: Board, key: str) -> Mask:
    """The domains that count for evenness: those with a host that would be asked, room aside.

    So a zone that is lost or cordoned as a whole does not forbid replacements in the others.
    """
    rules = demand.service.placement
    return board.remembered(
        ("open domains", key, rules.host_selector, rules.tolerations),
        lambda: np.array(
            [bool(eligible(demand, board)[rows].any()) for rows in board.domains(key).members], np.bool_
        ),
    )


def eligible(demand: Demand, board: Board) -> Mask:
    """Hosts that admit the demand as far as they themselves are concerned, whatever runs on them."""
    rules = demand.service.placement
    return board.remembered(
        ("eligible", rules.host_selector, rules.tolerations),
        lambda: (
            board.open
            & board.known
            & board.selected(rules.host_selector)
            & board.tolerated(rules.tolerations)
        ),
    )


def can_spare(service: Service, row: int, board: Board, claimant: Demand | None = None) -> int:
    """How many of `service` may leave a host, so that whoever must be with it has one left."""
    result = int(NO_LIMIT)
    for follower, affinity in board.followers.get(service.id, ()):
        there = together(board, follower, affinity.scope)[row] > 0
        if there or (claimant is not None and follower == claimant.service.id):
            result = min(result, int(together(board, service.id, affinity.scope)[row]) - 1)
    return result


def soft_penalty(demand: Demand, board: Board) -> Ints | None:
    """How many of the affinities that only rank are unmet on each host; None where there are none. A host to
    shun has more of them than any other."""
    rules = demand.service.placement
    result: Ints | None = None
    if demand.shunned:
        rows = [board.rows[host] for host in demand.shunned if host in board.rows]
        result = np.zeros(len(board.hosts), np.int64)
        result[rows] = 1 + len(rules.affinity) + len(rules.anti_affinity)
    for wanted, ones in ((True, rules.affinity), (False, rules.anti_affinity)):
        for one in ones:
            if not one.required:
                unmet = _unmet(one, board, wanted=wanted)
                result = unmet if result is None else result + unmet
    return result


def _unmet(one: Affinity, board: Board, *, wanted: bool) -> Ints:
    there = together(board, one.workload, one.scope) > 0
    return np.asarray((there != wanted).astype(np.int64))
