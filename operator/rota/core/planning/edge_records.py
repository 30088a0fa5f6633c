"""How edges were met: for each workload that grows at one, when all that it wants then was healthy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from rota.core.leads import Growth, Prospect
from rota.core.ledger import EdgeRecord
from rota.core.planning.actions import Change
from rota.core.planning.scene import Scene
from rota.core.planning.shift import Shift
from rota.core.planning.waits import WaitReason

KEPT = 20
"""So many records of edges that are over are kept, the latest."""


def follow(
    scene: Scene, prospect: Prospect, shifts: Sequence[Shift], changes: Iterable[Change]
) -> tuple[EdgeRecord, ...]:
    """The records of the edges in sight and of those that have come, brought up to `scene`."""
    now = scene.now.wall
    records = {(one.at, one.workload): one for one in scene.ledger.edges if one.over or one.at <= now}
    before = {(one.at, one.workload): one for one in scene.ledger.edges}
    nearest = min((one.at for one in prospect.growth), default=now)
    for growth in (one for one in prospect.growth if one.at == nearest or one.begins <= now):
        key = (growth.at, growth.workload)
        records[key] = _expected(growth, before.get(key), now)
    by_workload = {shift.id: shift for shift in shifts}
    wants = prospect.wants
    roomless = {
        one.workload
        for one in changes
        if one.waits_for(WaitReason.AFTER_ROOM) and (ahead := wants[one.workload].ahead) and ahead.patient
    }
    result = []
    for _, one in sorted(records.items()):
        shift = by_workload.get(one.workload)
        if one.over or shift is None:
            result += [one] if one.over else []
        elif one.at <= now and one.elastic and _named(wants[one.workload].rule) != (one.policy, one.window):
            result.append(replace(one, over=True))  # what it fills by now is another rule's
        else:
            result.append(_judged(one, shift, scene, roomless=one.workload in roomless))
    over = [one for one in result if one.over]
    forgotten = len(over) - KEPT
    return tuple(one for one in result if not one.over or over.index(one) >= forgotten)


def _expected(growth: Growth, before: EdgeRecord | None, now: datetime) -> EdgeRecord:
    """What is known beforehand. A lead that has begun stays as it was begun."""
    policy, window = _named(growth.rule)
    begun = growth.begins if growth.begins <= now else None
    return EdgeRecord(
        at=growth.at,
        policy=policy,
        window=window,
        workload=growth.workload,
        wanted=growth.count,
        elastic=growth.elastic,
        begun=begun if before is None or before.begun is None else before.begun,
        after_room=before is not None and before.after_room,
    )


def _named(rule: str) -> tuple[str, str]:
    """The policy and the window that a rule names."""
    policy, _, window = rule.removeprefix("window ").rpartition("/")
    return policy, window


def _judged(record: EdgeRecord, shift: Shift, scene: Scene, *, roomless: bool) -> EdgeRecord:
    """`record` with what is seen of `shift` now."""
    now, roster = scene.now, shift.roster
    ready = sorted(
        min(one.container.ready_since for one in group if one.container.ready_since is not None)
        for group in roster.kept.values()
        if any(one.container.ready and one.reachable for one in group)
    )
    come = now.wall >= record.at
    if record.elastic and not come:
        return record  # what it comes to shows once the edge has come
    wanted = roster.wanted if record.elastic else record.wanted
    if come and not record.elastic and roster.wanted < wanted:
        return replace(record, over=True)  # fewer are wanted by now: it stays as it was seen last
    offset = None
    if 0 < wanted <= len(ready):
        ago = (now.mono - ready[wanted - 1]) * now.speed
        offset = round((now.wall - record.at).total_seconds() - ago, 1)
    reached = wanted == 0 or offset is not None
    return replace(
        record,
        wanted=wanted,
        ready=min(len(ready), wanted),
        offset=offset,
        after_room=record.after_room or _needs_the_edge(record, shift) if come else roomless,
        over=come and reached and not _needs_the_edge(record, shift),
    )


def _needs_the_edge(record: EdgeRecord, shift: Shift) -> bool:
    """Whether what fills still grows once the edge has come: into the room that it frees."""
    return record.elastic and bool(shift.roster.missing)
