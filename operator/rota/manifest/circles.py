"""Workloads that wait for one another in a circle: finding such circles, and drawing them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rota.core.ids import WorkloadId

_SHOWN: Final = 12  # workloads of a circle; the middle of a longer one is left out


def circles(wanted: Mapping[WorkloadId, Sequence[WorkloadId]]) -> Iterator[list[WorkloadId]]:
    """Circles that have no workload in common, at least one of every knot.

    Without recursion, and every workload is entered once: a chain may be thousands long.
    """
    done: set[WorkloadId] = set()
    told: set[WorkloadId] = set()
    for root in wanted:
        path = [root] if root not in done else []
        depths = {root: 0}
        open_ends = [iter(wanted[root])]
        while path:
            following = next(open_ends[-1], None)
            if following is None:
                open_ends.pop()
                depths.pop(path[-1])
                done.add(path.pop())
            elif following in depths:
                if following in told or path[-1] in told:
                    continue
                circle = path[depths[following] :]
                if told.isdisjoint(circle):
                    yield circle
                told.update(circle)
            elif following not in done:
                depths[following] = len(path)
                path.append(following)
                open_ends.append(iter(wanted[following]))


def drawn(circle: Sequence[WorkloadId]) -> str:
    """`a -> b -> a`: the names of a circle, back to the first."""
    names = [workload.name for workload in (*circle, circle[0])]
    if len(names) > _SHOWN:
        names = [*names[: _SHOWN // 2], "...", *names[-_SHOWN // 2 :]]
    return " -> ".join(names)
