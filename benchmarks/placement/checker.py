"""An independent judge of placements: it shares no code with what it judges, nor with its accounting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.placement.fleets import RARE, SSD, ZONES, Fleet, Ints

MAX_SKEW = 1
NAMED = 5
"""Offenders named in a message."""


class Placement(NamedTuple):
    """A result: `counts` instances of `workloads` on `hosts` (three arrays of one length, each pair at
    most once), and how many of each workload found no place."""

    workloads: Ints
    hosts: Ints
    counts: Ints
    unplaced: Ints

    def hosts_used(self) -> int:
        return len(np.unique(self.hosts[self.counts > 0]))


class Violation(AssertionError):
    """A placement breaks a rule of its fleet: the benchmark has no figure to give."""


def check(fleet: Fleet, placement: Placement) -> None:
    """Raises Violation with every rule that `placement` breaks."""
    broken = [message for message in _broken(fleet, placement) if message]
    if broken:
        raise Violation("; ".join(broken))


def _broken(fleet: Fleet, placement: Placement) -> Iterator[str]:
    yield _well_formed(fleet, placement)
    yield _all_accounted(fleet, placement)
    yield _within_capacity(fleet, placement)
    yield _labels(fleet, placement)
    yield _apart(fleet, placement)
    yield _ports(fleet, placement)
    yield _even(fleet, placement)


def _well_formed(fleet: Fleet, placement: Placement) -> str:
    if (placement.counts <= 0).any() or (placement.unplaced < 0).any():
        return "counts below one, or fewer than none unplaced"
    pairs = placement.workloads * len(fleet.zone) + placement.hosts
    return "a pair of workload and host stands twice" if len(np.unique(pairs)) < len(pairs) else ""


def _all_accounted(fleet: Fleet, placement: Placement) -> str:
    placed = _total(placement.workloads, placement.counts, len(fleet.replicas))
    return _named("placed + unplaced is not what was wanted", placed + placement.unplaced != fleet.replicas)


def _within_capacity(fleet: Fleet, placement: Placement) -> str:
    over = np.zeros(len(fleet.zone), np.bool_)
    for column in range(fleet.capacity.shape[1]):
        amounts = placement.counts * fleet.requests[placement.workloads, column]
        used = np.zeros(len(fleet.zone), np.int64)
        np.add.at(used, placement.hosts, amounts)
        over |= used > fleet.capacity[:, column]
    return _named("hosts above their capacity", over)


def _labels(fleet: Fleet, placement: Placement) -> str:
    asked, there = fleet.label[placement.workloads], fleet.labels[placement.hosts]
    wrong = ((asked == SSD) & (there & SSD == 0)) | ((asked == RARE) & (there & RARE == 0))
    return _named("hosts without the label asked for", wrong, placement.hosts)


def _apart(fleet: Fleet, placement: Placement) -> str:
    wrong = fleet.apart[placement.workloads] & (placement.counts > 1)
    return _named("workloads twice on a host that they want for one", wrong, placement.workloads)


def _ports(fleet: Fleet, placement: Placement) -> str:
    port = fleet.port[placement.workloads]
    holders = port > 0
    keys = port[holders] * len(fleet.zone) + placement.hosts[holders]
    _, where = np.unique(keys, return_inverse=True)
    taken = np.bincount(where, weights=placement.counts[holders]) if len(where) else np.zeros(0)
    return _named("host ports taken twice", taken > 1)


def _even(fleet: Fleet, placement: Placement) -> str:
    """The skew over the zones that have any host with the label."""
    zones = np.zeros((len(fleet.replicas), ZONES), np.int64)
    np.add.at(zones, (placement.workloads, fleet.zone[placement.hosts]), placement.counts)
    wrong = np.zeros(len(fleet.replicas), np.bool_)
    for label, hosts in enumerate(fleet.admitting):
        there = np.unique(fleet.zone[hosts])
        totals = zones[:, there]
        skewed = totals.max(axis=1) - totals.min(axis=1) > MAX_SKEW if len(there) else wrong
        wrong |= skewed & fleet.even & (fleet.label == label)
    return _named("workloads with more skew over zones than one", wrong)


def _total(at: Ints, amounts: Ints, size: int) -> Ints:
    result = np.zeros(size, np.int64)
    np.add.at(result, at, amounts)
    return result


def _named(what: str, wrong: np.ndarray, numbers: Ints | None = None) -> str:
    """`what` with the number of offenders and the first of them; empty if there are none."""
    offenders = np.flatnonzero(wrong) if numbers is None else np.unique(numbers[wrong])
    if not len(offenders):
        return ""
    return f"{what}: {len(offenders)}, as number {', '.join(map(str, offenders[:NAMED].tolist()))}"
