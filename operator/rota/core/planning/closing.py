"""Hosts that are closed by will: cordoned, so that nothing new comes, or drained, so that all leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from rota.core.ledger import Ledger
from rota.core.model import Drain, Fleet
from rota.core.observed import Now


@dataclass(frozen=True, slots=True, kw_only=True)
class Draining:
    """A host that is to be empty: by whose word, since when, and by when (None: whenever budgets allow).

    `deadline` is `seconds` after `since`, for people; `end` is when it passes in monotonic time, which a wall
    clock that jumps does not move. `overdue`: it has, and what is left is stopped whatever becomes of it.
    """

    cause: str
    since: datetime
    seconds: float | None
    deadline: datetime | None
    end: float | None
    overdue: bool


def cordons(fleet: Fleet, now: Now) -> dict[str, str]:
    """Why nothing new goes to a host, by host name."""
    result = {name: "cordoned by its manifest" for name, host in fleet.hosts.items() if host.unschedulable}
    for override in sorted(fleet.overrides_in_force(now.wall), key=str):
        if override.target_kind == "Host" and override.unschedulable is not None:
            if override.unschedulable:
                result[override.target_name] = (
                    f"cordoned until {override.until.isoformat()} by override {override.name}"
                )
            else:
                result.pop(override.target_name, None)
    for name, (_, by) in _asked(fleet, now).items():
        result[name] = f"drained by {by}"
    return result


def drains(fleet: Fleet, ledger: Ledger, now: Now) -> dict[str, Draining]:
    """The hosts that are drained. The time of a deadline runs from the decision that saw the drain first."""
    result = {}
    for name, (drain, by) in sorted(_asked(fleet, now).items()):
        since = ledger.drains.get(name, now.wall)
        deadline, end = None, None
        if drain.deadline is not None:
            deadline = since + timedelta(seconds=drain.deadline)
            left = (deadline - now.wall).total_seconds() / now.speed
            end = ledger.drain_ends.get((name, drain.deadline), now.mono + left)
        result[name] = Draining(
            cause=f"{name} is drained by {by}",
            since=since,
            seconds=drain.deadline,
            deadline=deadline,
            end=end,
            overdue=end is not None and now.mono >= end,
        )
    return result


def _asked(fleet: Fleet, now: Now) -> Mapping[str, tuple[Drain, str]]:
    """Which hosts are to be drained, and by whose word: an Override goes before a manifest."""
    asked = {
        name: (host.drain, "its manifest") for name, host in fleet.hosts.items() if host.drain is not None
    }
    for override in sorted(fleet.overrides_in_force(now.wall), key=str):
        if override.target_kind == "Host" and override.drain is not None:
            asked[override.target_name] = (override.drain, f"override {override.name}")
    return asked
