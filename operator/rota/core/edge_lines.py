"""How edges were met, in words: `edge day: 12/12 web healthy 4 s before 07:00`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from rota.core.ledger import EdgeRecord
from rota.core.model import Fleet


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLine:
    """One workload at one edge. `at` is the edge in the civil time of its policy."""

    at: datetime
    record: EdgeRecord
    text: str

    @property
    def late(self) -> bool:
        """All were healthy after the edge only, or never, although there was room before it."""
        one = self.record
        return one.over and not one.after_room and (one.offset is None or one.offset > 0)


def edge_lines(fleet: Fleet, records: tuple[EdgeRecord, ...]) -> Iterator[EdgeLine]:
    """A line for each edge that is over or whose growth has begun, in the order of the edges. What fills and
    found nothing left over has none."""
    for one in records:
        if one.wanted > 0 if one.over else (one.begun is not None and not one.elastic):
            at = one.at.astimezone(_zone(fleet, one))
            yield EdgeLine(at=at, record=one, text=_words(one, at))


def _zone(fleet: Fleet, record: EdgeRecord) -> tzinfo:
    """The zone of the policy; of an Override, which has none, that of the first policy."""
    zones = [
        policy.zone
        for policy in fleet.policies
        if policy.name == record.policy and policy.namespace == record.workload.namespace
    ]
    zones += [policy.zone for policy in fleet.policies]
    return zones[0] if zones else UTC


def _words(record: EdgeRecord, at: datetime) -> str:
    counts = f"{record.ready}/{record.wanted} {record.workload.name} healthy"
    clock = f"{at:%H:%M}" if at.second == 0 else f"{at:%H:%M:%S}"
    clock += " UTC" if at.tzinfo is UTC else ""
    subject = f"edge {record.window}: {counts}"
    if record.offset is None:
        return f"{subject}, {'never all of them' if record.over else f'{clock} is ahead'}"
    if record.offset <= 0:
        return f"{subject} {how_long(-record.offset)} before {clock}"
    why = "after-room" if record.after_room else "late"
    return f"{subject} {how_long(record.offset)} after {clock}, {why}"


def how_long(seconds: float) -> str:
    """`4 s`, `12 min`, `3 h`: rounded down, so that nothing is said to have been earlier than it was."""
    if seconds < 120:
        return f"{int(seconds)} s"
    return f"{int(seconds // 60)} min" if seconds < 7200 else f"{int(seconds // 3600)} h"
