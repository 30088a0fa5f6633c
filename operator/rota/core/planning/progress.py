"""How rollouts get on: since when there is progress, which spec is good, and which has failed.

Only a spec that was not good before is a rollout; a change of count, a move or a replacement is not.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from typing import NamedTuple

from rota.core.ids import WorkloadId
from rota.core.ledger import FailedSpec, GoodSpec, Rollout
from rota.core.model import Fleet, OnFailure, Service
from rota.core.planning import specs
from rota.core.planning.scene import Scene
from rota.core.planning.shift import Shift

MOST_CRASHES = 3
"""A new spec that had to be moved so often because it kept dying has failed, whatever its deadline."""


class Progress(NamedTuple):
    """Fields of the ledger, and the seconds after which something here may change by itself."""

    rollouts: dict[WorkloadId, Rollout]
    good: dict[WorkloadId, GoodSpec]
    failed: dict[WorkloadId, FailedSpec]
    waits: list[float]


def follow(stated: Fleet, scene: Scene, shifts: Sequence[Shift], roomless: Container[WorkloadId]) -> Progress:
    """The records after what `scene` shows. `stated` is the fleet as its commit has it, that of `scene` has
    the specs that hold in their place; `roomless` are the workloads of which something finds no room."""
    ledger = scene.ledger
    records = Progress(
        rollouts={},
        good={workload: one for workload, one in ledger.good.items() if workload in stated.services},
        failed={
            workload: one
            for workload, one in ledger.failed.items()
            if workload in stated.services and specs.failed(stated.services[workload], ledger) is not None
        },
        waits=[],
    )
    for shift in shifts:
        known, failed = records.good.get(shift.id), records.failed.get(shift.id)
        if known is None or known.spec != shift.service.spec_hash:
            _new_spec(stated, shift, scene, records, roomless=shift.id in roomless)
        elif failed is not None and failed.reverts and not failed.returned:
            _return(failed, shift, scene, records, roomless=shift.id in roomless)
    return records


def _new_spec(stated: Fleet, shift: Shift, scene: Scene, records: Progress, *, roomless: bool) -> None:
    """A spec that is not good yet: it becomes so, gets on, or has failed."""
    failed = records.failed.get(shift.id)
    known = failed is not None and failed.spec == shift.service.spec_hash
    roomless = roomless and not _last_failure(shift, scene)
    if _is_done(shift, scene, roomless=roomless):
        records.good[shift.id] = _good(shift.service, scene)
        if known:
            del records.failed[shift.id]  # it came right after all
        return
    record = records.rollouts[shift.id] = _record(shift, scene, roomless=roomless)
    why = _why_failed(shift, record, scene)
    if why and not known:
        records.failed[shift.id] = _failed(stated.services[shift.id], stated, shift.id in records.good, why)
        records.waits.append(0.001)  # what holds now is another spec
    elif failed is None:
        records.waits.extend(_waits(shift, record, scene))


def _return(failed: FailedSpec, shift: Shift, scene: Scene, records: Progress, *, roomless: bool) -> None:
    """The way back to the good spec: it is never given up for another one, and said where it gets nowhere."""
    if _is_done(shift, scene, roomless=roomless and not _last_failure(shift, scene)):
        records.failed[shift.id] = replace(failed, returned=True, stuck=False)
        return
    record = records.rollouts[shift.id] = _record(shift, scene, roomless=roomless)
    if scene.now.mono - record.since > shift.service.update.progress_deadline:
        records.failed[shift.id] = replace(failed, stuck=True)
    else:
        records.waits.extend(_waits(shift, record, scene))


def _soaked(shift: Shift, scene: Scene) -> int:
    """How many slots have what is wanted, for long enough."""
    soak = shift.service.update.min_healthy_time
    groups = shift.roster.kept.values()
    return sum(any(one.current and one.soaked(scene.now, soak) for one in group) for group in groups)


def _is_done(shift: Shift, scene: Scene, *, roomless: bool) -> bool:
    """Every instance has soaked, and nothing else is there any more. What has no place, and what is on a host
    that does not answer, says nothing against a spec."""
    roster, soak = shift.roster, shift.service.update.min_healthy_time
    there = [group for group in roster.kept.values() if any(one.reachable for one in group)]
    sound = all(len(group) == 1 and group[0].current and group[0].soaked(scene.now, soak) for group in there)
    enough = roomless or len(roster.kept) >= roster.owed
    return bool(there) and roster.owed > 0 and sound and enough


def _good(service: Service, scene: Scene) -> GoodSpec:
    return GoodSpec(
        spec=service.spec_hash,
        revision=scene.fleet.revision,
        container=service.container,
        requests=service.requests,
        check=service.check,
    )


def _record(shift: Shift, scene: Scene, *, roomless: bool) -> Rollout:
    """Progress is one more instance that has soaked than ever before. While it waits for others, no time
    counts."""
    now, spec, soaked = scene.now.mono, shift.service.spec_hash, _soaked(shift, scene)
    before = scene.ledger.rollouts.get(shift.id)
    if before is None or before.spec != spec:
        before = Rollout(spec=spec, best=soaked, since=now)
    idle = _waits_for_others(shift, scene, roomless=roomless)
    # What a daemon before this one recorded has no instant: its whole time begins.
    since = now if idle or before.idle or soaked > before.best else min(before.since, now)
    canary = shift.service.update.canary
    enough = canary is not None and 0 < min(canary.count, shift.roster.wanted) <= soaked
    tried = (now if before.canary_since is None else before.canary_since) if enough else None
    passed = before.passed or (
        canary is not None and tried is not None and scene.now.mono - tried >= canary.hold
    )
    best = soaked if idle else max(soaked, before.best)  # what is lost meanwhile is no step back
    return Rollout(spec=spec, best=best, since=since, idle=idle, canary_since=tried, passed=passed)


def _waits_for_others(shift: Shift, scene: Scene, *, roomless: bool) -> bool:
    """Whether what the rollout lacks is not its own fault: room, hosts that answer, what it depends on,
    people, canaries that are watched; or nothing of it is wanted."""
    terms, roster = shift.terms, shift.roster
    if not roster.owed or terms.start or (terms.renew and shift.id not in scene.ledger.failed):
        return True
    if terms.canaries is not None and _soaked(shift, scene) >= min(terms.canaries, roster.wanted):
        return True
    silent = any(not group[0].reachable for group in roster.kept.values())
    return silent or (roomless and not _last_failure(shift, scene))


def _why_failed(shift: Shift, record: Rollout, scene: Scene) -> str:
    """Why a rollout has failed by now; empty while it may still succeed."""
    update, ledger = shift.service.update, scene.ledger
    crashes = ledger.crashes.get((shift.id, record.spec))
    last = _last_failure(shift, scene)
    if crashes is not None and crashes.count >= MOST_CRASHES:
        return f"its instances keep dying: {crashes.message}"
    if scene.now.mono - record.since > update.progress_deadline:
        return f"no progress within {update.progress_deadline:g}s{f': {last}' if last else ''}"
    return ""


def _last_failure(shift: Shift, scene: Scene) -> str:
    found = [
        (one.count, f"{host}: {one.message}")
        for (workload, host, spec), one in scene.ledger.failures.items()
        if workload == shift.id and spec == shift.service.spec_hash
    ]
    return max(found)[1] if found else ""


def _failed(service: Service, stated: Fleet, has_good: bool, why: str) -> FailedSpec:
    return FailedSpec(
        spec=service.spec_hash,
        document=service.document_hash,
        revision=stated.revision,
        reason=why,
        reverts=service.update.on_failure is OnFailure.ROLLBACK and has_good,
    )


def _waits(shift: Shift, record: Rollout, scene: Scene) -> list[float]:
    """When a deadline passes, an instance has soaked, or canaries have been watched for long enough."""
    update, now = shift.service.update, scene.now.mono
    waits = [] if record.idle else [record.since + update.progress_deadline - now]
    since = [group[0].container.ready_since for group in shift.roster.kept.values()]
    waits += [at + update.min_healthy_time - now for at in since if at is not None]
    if update.canary is not None and record.canary_since is not None:
        waits.append(record.canary_since + update.canary.hold - now)
    return [wait + 0.001 for wait in waits if wait > 0]
