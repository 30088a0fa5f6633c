"""The guard: what one commit may remove at once. Windows, Overrides and moves never count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rota.core.ids import WorkloadId
from rota.core.ledger import Applied, Ledger
from rota.core.model import Fleet
from rota.core.observed import Now
from rota.core.windows import wanted

ALWAYS_ALLOWED = 3
"""So few removals need no consent, whatever the share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the commit removes, and whether it may.

    `blocked` are the workloads that are left as they are, and how many instances more than the commit
    asks for each of them keeps.
    """

    removals: Mapping[WorkloadId, int]
    limit: int
    blocked: Mapping[WorkloadId, int]
    message: str = ""


def judge(fleet: Fleet, ledger: Ledger, observed: Mapping[WorkloadId, int], now: Now) -> Verdict:
    """Count what `fleet` removes against the revision applied last; over the limit, withhold it.

    Both are judged at the instant at which the old counts were taken, so that an edge between the
    two never counts. `observed` are instances on the hosts per workload: a workload without any has
    nothing to lose. What was there before the revision applied last and is still there counts no more:
    its removal was accepted then. Without a record (a lost ledger) absent workloads count as observed.
    """
    applied = ledger.applied
    if applied is None:
        lowered = {workload: count for workload, count in observed.items() if workload not in fleet.services}
        whole = sum(observed.values())
    else:
        then = wanted(fleet, applied.at, overrides=False)
        lowered = {
            workload: count - (then[workload].count if workload in then else 0)
            for workload, count in applied.counts.items()
        }
        whole = sum(applied.counts.values())
    removals = {
        workload: min(count, observed.get(workload, 0))
        for workload, count in sorted(lowered.items())
        if min(count, observed.get(workload, 0)) > 0
    }
    limit = max(fleet.max_removals.of(whole), ALWAYS_ALLOWED, *_consents(fleet, now))
    if sum(removals.values()) <= limit:
        return Verdict(removals=removals, limit=limit, blocked={})
    return Verdict(
        removals=removals,
        limit=limit,
        blocked={workload: lowered[workload] for workload in removals},
        message=_message(removals, limit, whole),
    )


def _consents(fleet: Fleet, now: Now) -> list[int]:
    return [
        override.allow_removals
        for override in fleet.overrides_in_force(now.wall)
        if override.target_kind == "Fleet" and override.allow_removals is not None
    ]


def _message(removals: Mapping[WorkloadId, int], limit: int, whole: int) -> str:
    total = sum(removals.values())
    listed = ", ".join(f"{workload} {count}" for workload, count in removals.items())
    return (
        f"the commit removes {total} of {whole} instances ({listed}); the limit is {limit}. Nothing of "
        f"this is removed. If it is meant, commit an Override on the Fleet with allowRemovals: {total}."
    )


def next_applied(fleet: Fleet, ledger: Ledger, verdict: Verdict, now: Now) -> Applied | None:
    """The record to keep: unchanged while removals are withheld, renewed when a count moved."""
    if verdict.blocked:
        return ledger.applied
    counts = {workload: want.count for workload, want in wanted(fleet, now.wall, overrides=False).items()}
    before = ledger.applied
    if before is not None and before.revision == fleet.revision and dict(before.counts) == counts:
        return before
    return Applied(revision=fleet.revision, at=now.wall, counts=counts)
