"""Why nothing may be changed at all, and what stands still meanwhile."""

from __future__ import annotations

from dataclasses import replace

from rota.core.ledger import Ledger
from rota.core.model import Fleet
from rota.core.observed import Hold, Now, ObservedState


def hold(fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now) -> Hold | None:
    """What holds everything back: a switch outside, another fleet, an Override, or a first look that is not
    over."""
    return observed.held or _another_fleet(fleet, ledger) or _suspended(fleet, now) or _first_look(observed)


def paused(ledger: Ledger, held: Hold | None, now: Now) -> Ledger:
    """`ledger` with the time of a hold taken out: deadlines of rollouts and drains stand still meanwhile, or
    all of them would have passed in the moment in which it ends."""
    if held is not None:
        return ledger if ledger.held_since is not None else replace(ledger, held_since=now.mono)
    if ledger.held_since is None:
        return ledger
    spent = now.mono - ledger.held_since
    return replace(
        ledger,
        held_since=None,
        drain_ends={key: end + spent for key, end in ledger.drain_ends.items()},
        rollouts={
            workload: replace(
                one,
                since=one.since + spent,
                canary_since=None if one.canary_since is None else one.canary_since + spent,
            )
            for workload, one in ledger.rollouts.items()
        },
    )


def identity(fleet: Fleet) -> str:
    """The name under which everything that runs was started."""
    return f"{fleet.name} {fleet.uid}"


def _another_fleet(fleet: Fleet, ledger: Ledger) -> Hold | None:
    """A commit that renames the fleet: nothing that runs would be its own, and all would start again."""
    if ledger.fleet in ("", identity(fleet)):
        return None
    message = (
        f"the commit calls the fleet {identity(fleet)!r} (name and uid), and what runs belongs to "
        f"{ledger.fleet!r}. Put them back, or give the new fleet a status branch of its own."
    )
    return Hold("AnotherFleet", message)


def _suspended(fleet: Fleet, now: Now) -> Hold | None:
    for override in sorted(fleet.overrides_in_force(now.wall), key=str):
        if override.target_kind == "Fleet" and override.suspend:
            until = override.until.isoformat()
            message = f"suspended until {until} by override {override.name}: {override.reason}"
            return Hold("Suspended", message)
    return None


def _first_look(observed: ObservedState) -> Hold | None:
    unseen = observed.unseen()
    message = f"waiting for the first answer of {', '.join(unseen)}"
    return Hold("FirstLook", message, passing=True) if unseen else None
