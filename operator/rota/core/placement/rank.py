"""Which of the feasible hosts is best: smaller is better, ties by a stable hash."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping

from rota.core.model import Service, Strategy
from rota.core.placement.room import Room

ZONE = "zone"
"""The host label that spreading looks at first."""

Rank = tuple[float, float, float, int]


def zone_counts(service: Service, slot: int, rooms: Mapping[str, Room]) -> Counter[str | None]:
    """How many other slots of a workload each zone has."""
    counts: Counter[str | None] = Counter()
    for room in rooms.values():
        counts[room.host.labels.get(ZONE)] += len(room.slots[service.id] - {slot})
    return counts


def rank(service: Service, slot: int, room: Room, zones: Mapping[str | None, int]) -> Rank:
    """Spread: fewest of the workload in the zone, then on the host, then the least loaded host.

    Pack: the fullest host, so that hosts stay empty. `zones` is what `zone_counts` gives.
    """
    tie = stable_hash(f"{service.id}/{slot}@{room.name}")
    if service.placement.strategy is Strategy.PACK:
        return (-room.load, 0, 0, tie)
    return (zones[room.host.labels.get(ZONE)], len(room.slots[service.id] - {slot}), room.load, tie)


def stable_hash(text: str) -> int:
    """A number that depends on `text` only, unlike the built-in hash."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
