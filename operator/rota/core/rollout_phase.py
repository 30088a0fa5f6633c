"""Where a rollout is: derived from what is observed and remembered, for people to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from rota.core.decide import Decision
from rota.core.model import Service
from rota.core.observed import ContainerState, ObservedContainer
from rota.core.planning.actions import Change
from rota.core.planning.waits import ROOM, WaitReason


class Phase(StrEnum):
    """The states of a rollout, in their order, and those beside the way."""

    PENDING = "PENDING"
    PLACING = "PLACING"
    PULLING = "PULLING"
    STARTING = "STARTING"
    WAIT_HEALTHY = "WAIT_HEALTHY"
    SOAK = "SOAK"
    DRAIN_OLD = "DRAIN_OLD"
    PAUSED = "PAUSED"
    FAILED = "FAILED"
    REVERTING = "REVERTING"
    REVERT_STALLED = "REVERT_STALLED"
    ROLLED_BACK = "ROLLED_BACK"


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutStatus:
    """A rollout that is under way or has failed: to which spec, of which commit, how many have it."""

    phase: Phase
    spec: str
    revision: str
    updated: int
    message: str = ""


def rollout_of(
    service: Service, containers: Sequence[ObservedContainer], changes: Sequence[Change], decision: Decision
) -> RolloutStatus | None:
    """The rollout of `service`, as it holds now; None where its spec is good and nothing has failed."""
    ledger = decision.ledger
    record, failed = ledger.rollouts.get(service.id), ledger.failed.get(service.id)
    if record is None and failed is None:
        return None
    updated = len({one.slot for one in containers if one.spec == service.spec_hash and one.ready})
    good = ledger.good.get(service.id)
    reverting = failed is not None and failed.reverts
    return RolloutStatus(
        phase=_phase(service, containers, changes, decision),
        spec=service.spec_hash,
        revision=good.revision if reverting and good is not None else decision.fleet.revision,
        updated=updated,
        message=failed.reason if failed is not None else "",
    )


def _phase(
    service: Service, containers: Sequence[ObservedContainer], changes: Sequence[Change], decision: Decision
) -> Phase:
    failed = decision.ledger.failed.get(service.id)
    if failed is not None:
        if failed.stuck:
            return Phase.REVERT_STALLED
        if not failed.reverts:
            return Phase.FAILED
        return Phase.ROLLED_BACK if failed.returned else Phase.REVERTING
    return _step(service, containers, changes)


def _step(service: Service, containers: Sequence[ObservedContainer], changes: Sequence[Change]) -> Phase:
    """How far the instance is that has come furthest without being there yet."""
    new = [one for one in containers if one.spec == service.spec_hash]
    waits = {one.wait.reason for one in changes if one.wait is not None}
    if WaitReason.SOAK in waits:
        return Phase.SOAK
    if any(one.state in (ContainerState.PENDING, ContainerState.CREATED) for one in new):
        return Phase.STARTING
    if any(one.running and not one.ready for one in new):
        return Phase.WAIT_HEALTHY
    if waits & {WaitReason.IMAGE, WaitReason.NO_IMAGE}:
        return Phase.PULLING
    if waits & ROOM:
        return Phase.PLACING
    if WaitReason.CANARIES in waits:
        return Phase.PAUSED
    if new and all(one.ready for one in new):
        return Phase.SOAK if not changes else Phase.DRAIN_OLD
    return Phase.PENDING
