"""Hosts on their way to be empty: what is left there, and what will be stopped by force at the deadline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rota.core.ids import WorkloadId
from rota.core.planning.actions import Change
from rota.core.planning.scene import Scene
from rota.core.planning.shift import Shift
from rota.core.planning.waits import WaitReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Forced:
    """An instance that nothing moves before the deadline, and why: then it is stopped."""

    workload: WorkloadId
    slot: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainState:
    """How far a drain has come: how many instances are `left`, and which of them have nowhere to go."""

    host: str
    cause: str
    deadline: datetime | None
    left: int
    stuck: tuple[Forced, ...]


def states(scene: Scene, shifts: Sequence[Shift], changes: Iterable[Change]) -> tuple[DrainState, ...]:
    """Of every host that is drained, or left the commit and still has something, what is left on it."""
    leaving = {name: (one.cause, one.deadline) for name, one in scene.drains.items()}
    for name, post in scene.posts.items():
        if post.host is None and scene.observed.hosts[name].all_containers:
            leaving[name] = (f"{name} left the fleet", None)
    if not leaving:
        return ()
    waiting = {(one.workload, one.slot, one.source): one for one in changes}
    result = []
    for name, (cause, deadline) in sorted(leaving.items()):
        left = [
            (shift, slot)
            for shift in shifts
            for slot, group in {**shift.roster.kept, **shift.roster.released}.items()
            if any(one.container.host == name for one in group)
        ]
        stuck = [
            Forced(workload=shift.id, slot=slot, why=why)
            for shift, slot in left
            if (why := _why_stuck(shift, name, waiting.get((shift.id, slot, name))))
        ]
        result.append(
            DrainState(
                host=name,
                cause=cause,
                deadline=deadline,
                left=len(left),
                stuck=tuple(sorted(stuck, key=lambda one: (one.workload, one.slot))),
            )
        )
    return tuple(result)


def _why_stuck(shift: Shift, host: str, change: Change | None) -> str:
    if shift.service.container.pinned:
        return f"its volumes are on {host}"
    return change.waits if change is not None and change.waits_for(WaitReason.NO_SEAT) else ""
