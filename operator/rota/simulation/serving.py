"""How many instances serve, judged on the Engines: past every view and every fault."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from rota.core.ids import WorkloadId
from rota.engine import labels
from rota.engine.memory import MemoryEngine
from rota.simulation.hosts import SteppedHosts


class _Seen(NamedTuple):
    """What one host had when it looked as `key` says."""

    key: tuple[int, bool, frozenset[str]]
    slots: frozenset[tuple[WorkloadId, str]]
    empty: bool


_NOTHING = frozenset[str]()


class Serving:
    """Looks again only at hosts on which something changed."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._counts: Mapping[WorkloadId, int] = {}

    def look(self, hosts: SteppedHosts, uid: str) -> Mapping[WorkloadId, int]:
        """By workload, how many of its slots have an instance that is ready, is not being stopped, and is on
        a host that answers."""
        changed = False
        for name, engine in hosts.engines.items():
            worker = hosts.workers.get(name)
            stopping = worker.view.stopping if worker is not None else _NOTHING
            key = (engine.changes, engine.answers, stopping)
            if name not in self._seen or self._seen[name].key != key:
                self._seen[name] = _look(engine, uid, key)
                changed = True
        if changed:
            slots = frozenset[tuple[WorkloadId, str]]().union(*(one.slots for one in self._seen.values()))
            self._counts = Counter(workload for workload, _ in slots)
        return self._counts

    def is_empty(self, name: str) -> bool:
        """Whether no container of the fleet was on a host when it was looked at."""
        return name not in self._seen or self._seen[name].empty


def _look(engine: MemoryEngine, uid: str, key: tuple[int, bool, frozenset[str]]) -> _Seen:
    ours = [one for one in engine.all_containers() if one.labels.get(labels.FLEET_UID) == uid]
    slots: dict[WorkloadId, set[str]] = defaultdict(set)
    for one in ours if engine.answers else ():
        if one.ready and one.id not in key[2]:
            slots[WorkloadId.parse(one.labels[labels.WORKLOAD])].add(one.labels[labels.SLOT])
    pairs = frozenset((workload, slot) for workload, found in slots.items() for slot in found)
    return _Seen(key, pairs, not ours)
