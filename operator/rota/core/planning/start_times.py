"""How long instances take to become healthy, learnt from those that this daemon has started."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import ceil
from typing import NamedTuple

from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.model import Fleet
from rota.core.observed import HostState, HostView, Now, ObservedContainer, ObservedState
from rota.core.planning.actions import Action, StartInstance

KEPT = 8
"""So many of the last start times of a workload are remembered."""

Starting = Mapping[tuple[str, str], float]


class Learnt(NamedTuple):
    """`starting`: since when a start is asked for, by (host, name); `times`: seconds, the latest last."""

    starting: Starting
    times: Mapping[WorkloadId, tuple[float, ...]]


def learn(fleet: Fleet, observed: ObservedState, ledger: Ledger) -> Learnt:
    """Of the starts that are under way: which go on, and how long those took that are healthy now.

    A start that is gone again is forgotten: how long a failure takes says nothing.
    """
    if not ledger.starting:
        return Learnt(ledger.starting, ledger.start_times)
    times: dict[WorkloadId, tuple[float, ...]] = defaultdict(tuple, ledger.start_times)
    going = {}
    by_host: dict[str, dict[str, ObservedContainer]] = {}
    for (host, name), since in ledger.starting.items():
        view = observed.hosts.get(host)
        if view is None:
            continue
        if host not in by_host:
            by_host[host] = {one.name: one for one in view.all_containers}
        found = by_host[host].get(name)
        if found is not None and found.ready_since is not None:
            # In tenths of a second, so that the same start gives the same ledger.
            took = ceil(max(found.ready_since - since, 0.0) * 10) / 10
            times[found.workload] = (*times[found.workload], took)[-KEPT:]
        elif found is not None or not _is_known_gone(view):
            going[host, name] = since
    known = {workload: each for workload, each in sorted(times.items()) if workload in fleet.services}
    return Learnt(going, known)


def _is_known_gone(view: HostView) -> bool:
    """Whether a host answers and neither has a container nor is about to make it."""
    return view.state is HostState.REACHABLE and not view.queued and not view.pulling


def with_new(
    starting: Starting, actions: Iterable[Action], awaited: Iterable[tuple[str, str]], now: Now
) -> Starting:
    """`starting` and the starts that are asked for now, those included that are only `awaited` because their
    image is on its way: pulls take part of the time."""
    new = {(one.host, one.name): now.mono for one in actions if isinstance(one, StartInstance)}
    new.update(dict.fromkeys(awaited, now.mono))
    return {**new, **starting} if new else starting
