"""Which hosts are given up: lost, and believed to be. Where too many are lost at once, none is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rota.core.ledger import Ledger
from rota.core.model import Amount, Fleet
from rota.core.observed import HostState, HostView, Now, ObservedState

AT_ONCE_SECONDS = 60.0
"""Hosts that are lost within this time are lost together."""
FEWEST = 2
"""One host alone is never so many that it is not believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """`gone` are the hosts whose instances are replaced, `confirmed` those of them that a person says are
    dead for good. With `message`, the brake is on: lost hosts are not believed to be lost. `released_at` is
    when it went off, as long as those that are still missing are given time to come back as well."""

    gone: frozenset[str]
    confirmed: frozenset[str]
    message: str = ""
    released_at: float | None = None


def confirmed_lost(fleet: Fleet, now: Now) -> frozenset[str]:
    """The hosts that an Override in force calls lost: somebody knows that nothing runs there any more."""
    return frozenset(
        one.target_name
        for one in fleet.overrides_in_force(now.wall)
        if one.target_kind == "Host" and one.lost
    )


def judge(fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now) -> Outage:
    """What of the silence of hosts is believed at `now`.

    The brake comes on when one is lost and, with it, more than `brake` of the hosts, at least two, went
    silent within a minute; it goes off when no more than that are silent, and the others have once more
    `lost_after` to come back. Hosts that a person calls lost do not count.
    """
    confirmed = confirmed_lost(fleet, now)
    dead = frozenset(name for name in confirmed if _is_silent(observed.hosts.get(name)))
    missing = _silent(fleet, observed, confirmed, HostState.LOST)
    # Of hosts that vanish together one is lost first: the others are silent by then.
    doubted = _silent(fleet, observed, confirmed, HostState.SUSPECT) if missing else {}
    silent = {**missing, **doubted}
    whole, brake = len(fleet.hosts), fleet.failure.brake
    together = _most_together(missing) + len(doubted)
    if _too_many(len(silent), whole, brake) and (ledger.braked or _too_many(together, whole, brake)):
        message = _braked(sorted(silent), fleet)
        return Outage(gone=dead, confirmed=dead, message=message)
    released = now.mono if ledger.braked else ledger.brake_released
    if missing and released is not None and now.mono - released < fleet.failure.lost_after:
        return Outage(gone=dead, confirmed=dead, released_at=released)
    return Outage(gone=dead | missing.keys(), confirmed=dead)


def _braked(missing: Sequence[str], fleet: Fleet) -> str:
    names = ", ".join(missing)
    return (
        f"{len(missing)} of {len(fleet.hosts)} hosts went silent at about one time ({names}): more than the "
        f"brake, {fleet.failure.brake}, believes. Rather this operator is cut off. Nothing of theirs is "
        "started elsewhere until enough of them are back. Where they are dead, commit an Override with "
        "lost: true on each."
    )


def _silent(
    fleet: Fleet, observed: ObservedState, confirmed: frozenset[str], state: HostState
) -> dict[str, float]:
    """Since when the hosts in `state` are, but for those that a person calls lost."""
    return {
        name: view.since
        for name, view in observed.hosts.items()
        if view.state is state and name in fleet.hosts and name not in confirmed
    }


def _is_silent(view: HostView | None) -> bool:
    return view is not None and view.state not in (HostState.REACHABLE, HostState.UNKNOWN)


def _too_many(count: int, whole: int, brake: Amount) -> bool:
    most = brake.value * whole / 100 if brake.percent else brake.value
    return count >= FEWEST and count > most


def _most_together(missing: Mapping[str, float]) -> int:
    """The most hosts that were lost within `AT_ONCE_SECONDS`."""
    since = sorted(missing.values())
    first = most = 0
    for last, at in enumerate(since):
        while at - since[first] > AT_ONCE_SECONDS:
            first += 1
        most = max(most, last - first + 1)
    return most
