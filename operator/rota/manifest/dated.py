"""What is sound and yet has no effect any more, or none within a year: findings that depend on the date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from rota.core.model import Fleet, Weekly, Window
from rota.core.outlook import never_wanted
from rota.core.windows import interval_on, opens_again
from rota.manifest.problem import Problem

_AHEAD: Final = 365


def spent(fleet: Fleet, now: datetime) -> Iterator[Problem]:
    """Overrides that have ended, and windows that never open again."""
    for override in fleet.overrides:
        if override.source is not None and override.until <= now:
            message = f"Override {override} ended at {override.until.isoformat()}"
            yield Problem(*override.source, "spec.until", message, "Delete it.", "warning")
    for policy in fleet.policies:
        for number, window in enumerate(policy.windows):
            if window.source is not None and not opens_again(window, now, policy.zone):
                last = _last_date(window, policy.zone)
                when = f"opened last on {last} and never will again" if last else "never opens again"
                message = f"window {window.name} of CapacityPolicy {policy} {when}"
                mend = "Delete it, or give it dates to come."
                yield Problem(*window.source, f"spec.windows[{number}]", message, mend, "warning")


def never_given(fleet: Fleet, now: datetime) -> Iterator[Problem]:
    """Workloads that nothing gives an instance to in the coming year."""
    until = now + timedelta(days=_AHEAD)
    for service in never_wanted(fleet, now, _AHEAD):
        if service.source is not None:
            message = (
                f"nothing gives {service.kind} {service.id} an instance from {now.date()} to {until.date()}:"
                " neither its replicas, nor a window, nor an Override"
            )
            mend = "Give it replicas or a window, or delete it."
            yield Problem(*service.source, "spec.replicas", message, mend, "warning")


def _last_date(window: Window, zone: ZoneInfo) -> date | None:
    """The local date on which a window that opens on stated dates opened last."""
    if not isinstance(window.hours, Weekly):
        return None
    days = sorted(window.also_on, reverse=True)
    return next((day for day in days if interval_on(window, day, zone) is not None), None)
