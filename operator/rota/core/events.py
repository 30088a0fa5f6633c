"""What happened since the pass before, each with its cause: what was done, and what was decided not to be.

A pure comparison of two passes. What stays as it was is no event, so that a fleet at rest is silent; what
goes to and fro is folded by whoever keeps the events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from rota.core.decide import Decision
from rota.core.event import FLEET, Event, Moment, Remembered, WaitKey, service_of
from rota.core.host_events import deaths_seen, of_deaths, of_hosts
from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.model import Fleet
from rota.core.observed import HostState, Outcome, Result
from rota.core.planning.rollout import DUPLICATE
from rota.core.status import FleetStatus

MOST_A_PASS = 100
"""More events of one pass than these are told by workload, then by number."""


def events(before: Remembered, moment: Moment) -> tuple[Remembered, tuple[Event, ...]]:
    """What happened between two passes, at most `MOST_A_PASS`, and what the next one is compared with."""
    found = [*_of_source(before, moment)]
    after = replace(before, trouble=(moment.status.source.reason, moment.status.source.message))
    if moment.fleet is not None and moment.decision is not None:
        after = _remember(before, after, moment, moment.decision)
        found += _of_outcomes(before, moment, moment.fleet)
        found += of_hosts(before, after, moment)
        if not before.recalled:
            found += of_deaths(before, moment.observed, moment.fleet)
        found += _of_edges(before.ledger, moment.status)
        quiet = before.recalled and before.revision == after.revision
        found += _of_rollouts(before.ledger, after.ledger, moment.fleet, quiet=quiet)
        if not quiet:
            found += _of_fleet(before, after)
            found += _of_waits(before, after, moment)
    return after, bounded(found)


def _both_since(key: WaitKey, moment: Moment) -> float:
    """Since when two instances of a slot have run, in monotonic seconds: since the later one was made, by the
    clock of its host, at the latest since now."""
    workload, slot, _ = key
    made = [
        one.created
        for one in moment.observed.containers()
        if (one.workload, one.slot) == (workload, slot) and one.running
    ]
    ago = moment.now.wall.timestamp() - max(made) if len(made) > 1 and min(made) > 0 else 0.0
    return moment.now.mono - max(ago, 0.0) / moment.now.speed


def _remember(before: Remembered, after: Remembered, moment: Moment, decision: Decision) -> Remembered:
    assert moment.fleet is not None
    known = {name: view.state for name, view in moment.observed.hosts.items()}
    first_look = bool(moment.observed.unseen())  # what waits for an answer of a host that nobody asked yet
    waits, together = {}, {}
    for change in decision.changes:
        key = (change.workload, change.slot, change.source or "")
        if change.waits and not first_look:
            waits[key] = change.waits
        if change.cause.startswith(DUPLICATE):
            together[key] = before.together.get(key, _both_since(key, moment))
    # A stop that is under way is no change any more, and its outcome is still to come.
    stopping = {
        (one.workload, one.slot, name)
        for name, view in moment.observed.hosts.items()
        for one in (view.containers if view.stopping and before.together else ())
        if one.id in view.stopping
    }
    together |= {key: since for key, since in before.together.items() if key in stopping}
    held = decision.held
    passing = first_look or (held is not None and held.passing)
    return replace(
        after,
        recalled=before.recalled and passing and before.revision == moment.fleet.revision,
        ledger=decision.ledger,
        revision=moment.fleet.revision,
        hosts={name: state for name, state in known.items() if state is not HostState.UNKNOWN},
        cordons=decision.cordons,
        hold=held if held is not None and not held.passing else None,
        guard=decision.guard.message,
        brake=decision.brake,
        waits=waits,
        together=together,
        deaths=deaths_seen(moment.observed),
        emptied=frozenset(
            name
            for name in decision.ledger.drains
            if known.get(name) is HostState.REACHABLE and not moment.observed.hosts[name].all_containers
        ),
    )


def _of_source(before: Remembered, moment: Moment) -> Iterator[Event]:
    """The repository: another revision, another history, trouble, and its end."""
    revision = moment.fleet.revision if moment.fleet is not None else ""
    if revision and revision != before.revision:
        if moment.rewritten:
            message = f"history was rewritten; now at {revision[:12]}"
            yield Event(event="history", object=FLEET, reason="HistoryRewritten", message=message)
        message = f"now at {revision[:12]}" + (f", before {before.revision[:12]}" if before.revision else "")
        cause = f"commit {revision[:7]}"
        yield Event(event="revision", object=FLEET, reason="RevisionAdopted", message=message, cause=cause)
    reason, message = moment.status.source.reason, moment.status.source.message
    if reason and (reason, message) != before.trouble:
        yield Event(event="revision", object=FLEET, reason=reason, message=message)
    elif before.trouble[0] and not reason:
        ended = f"{before.trouble[0]} is over"
        yield Event(event="revision", object=FLEET, reason="RepositoryReadable", message=ended)


_DONE = {"start": "Started", "stop": "Stopped", "restart": "Restarted", "image": "ImageReady"}
_VERBS = {"image": "ImagePull", "resolve": "ImageLookUp"}


def _of_outcomes(before: Remembered, moment: Moment, fleet: Fleet) -> Iterator[Event]:
    for one in moment.observed.outcomes:
        yield Event(
            event=one.verb,
            object=service_of(one.workload, fleet),
            slot=one.slot,
            host=one.host,
            cause=one.cause,
            result=str(one.result),
            reason=_outcome_reason(one),
            message=one.message,
        )
        since = before.together.get((one.workload, one.slot, one.host))
        if one.verb == "stop" and one.result is Result.DONE and since is not None:
            yield Event(
                event="overlap",
                object=service_of(one.workload, fleet),
                slot=one.slot,
                host=one.host,
                cause=one.cause,
                reason="Overlapped",
                message=f"two instances ran for {moment.now.mono - since:.0f} s that are known of",
            )


def _outcome_reason(one: Outcome) -> str:
    verb = _VERBS.get(one.verb, one.verb.capitalize())
    match one.result:
        case Result.DONE:
            return _DONE.get(one.verb, f"{verb}Done")
        case Result.FAILED:
            return f"{verb}Failed"
        case _:
            return f"{verb}Unknown"


def _of_fleet(before: Remembered, after: Remembered) -> Iterator[Event]:
    """What holds for the whole fleet: held back or not, the guard, the brake."""
    if after.hold != before.hold:
        if after.hold is not None:
            yield Event(event="hold", object=FLEET, reason=after.hold.reason, message=after.hold.message)
        elif before.hold is not None:
            ended = f"{before.hold.reason} is over: changes are made again"
            yield Event(event="hold", object=FLEET, reason="Released", message=ended)
    if after.guard != before.guard:
        reason = "PruneBlocked" if after.guard else "PruneAllowed"
        message = after.guard or "nothing is withheld any more"
        yield Event(event="guard", object=FLEET, reason=reason, message=message)
    if bool(after.brake) != bool(before.brake):
        reason = "Braked" if after.brake else "BrakeReleased"
        message = after.brake or "what lost hosts ran is replaced again"
        yield Event(event="brake", object=FLEET, reason=reason, message=message)


def _of_rollouts(before: Ledger, after: Ledger, fleet: Fleet, *, quiet: bool) -> Iterator[Event]:
    """Rollouts that began (but for `quiet`), had their canaries, ended well, failed, or went back."""
    for workload in _differing(before.rollouts, after.rollouts):
        was, now = before.rollouts.get(workload), after.rollouts.get(workload)
        if now is None or quiet or workload not in fleet.services:
            continue
        good = after.good.get(workload)
        if was is None or was.spec != now.spec:
            back = good is not None and good.spec == now.spec and workload in after.failed
            overtaken = f", instead of {_short(was.spec)}" if was is not None else ""
            reason = "RollbackBegun" if back else "RolloutBegun"
            yield _rollout(workload, fleet, reason, f"to {_short(now.spec)}{overtaken}")
        elif was.canary_since is None and now.canary_since is not None:
            yield _rollout(workload, fleet, "CanariesHealthy", f"canaries of {_short(now.spec)} are healthy")
    for workload in _differing(before.failed, after.failed):
        failed = after.failed.get(workload)
        if failed is None:
            continue
        message = f"{_short(failed.spec)} of commit {failed.revision[:7]} failed: {failed.reason}"
        if failed.stuck:
            then = "the way back to what was good before makes no progress either"
            yield _rollout(workload, fleet, "RollbackStalled", f"{message}; {then}")
        elif failed.returned:
            what = f"{_short(failed.spec)} of commit {failed.revision[:7]}"
            yield _rollout(workload, fleet, "RollbackDone", f"{what} failed; what was good before is back")
        elif failed.reverts:
            good = after.good.get(workload)
            to = f"; back to {_short(good.spec)} of commit {good.revision[:7]}" if good is not None else ""
            yield _rollout(workload, fleet, "RolledBack", f"{message}{to}")
        else:
            yield _rollout(workload, fleet, "RolloutPaused", f"{message}; it waits for people")
    for workload in _differing(before.good, after.good):
        sound, old = after.good.get(workload), before.good.get(workload)
        if sound is not None and (old is None or old.spec != sound.spec):
            message = f"{_short(sound.spec)} of commit {sound.revision[:7]} is healthy everywhere"
            yield _rollout(workload, fleet, "RolloutDone", message)


def _differing(before: Mapping[WorkloadId, object], after: Mapping[WorkloadId, object]) -> list[WorkloadId]:
    if before is after:
        return []
    return [one for one in sorted(before.keys() | after.keys()) if before.get(one) != after.get(one)]


def _rollout(workload: WorkloadId, fleet: Fleet, reason: str, message: str) -> Event:
    cause = f"commit {fleet.revision[:7]}" if fleet.revision else "the working tree"
    return Event(
        event="rollout", object=service_of(workload, fleet), reason=reason, message=message, cause=cause
    )


def _short(spec: str) -> str:
    """A spec as people tell it from others: its first twelve digits."""
    return f"spec {spec.rpartition(':')[2][:12]}"


def _of_edges(before: Ledger, status: FleetStatus) -> Iterator[Event]:
    """How each edge was met, once that is known."""
    known = {(one.at, one.workload) for one in before.edges if one.over}
    for line in status.edges:
        one = line.record
        if one.over and (one.at, one.workload) not in known:
            yield Event(
                event="edge",
                object=f"Service {one.workload}",
                cause=f"window {one.policy}/{one.window}",
                reason="EdgeLate" if line.late else "EdgeMet",
                message=line.text,
            )


def _of_waits(before: Remembered, after: Remembered, moment: Moment) -> list[Event]:
    """What newly waits, one event for all slots of a workload that wait for one thing."""
    assert moment.fleet is not None
    assert moment.decision is not None
    found: dict[tuple[WorkloadId, str, str], Event] = {}
    for change in moment.decision.changes:
        at = (change.workload, change.slot, change.source or "")
        if change.wait is None or at not in after.waits or before.waits.get(at) == change.waits:
            continue
        key = (change.workload, change.cause, change.waits)
        if key in found:
            found[key] = replace(found[key], slot=None, host="", count=found[key].count + 1)
            continue
        found[key] = Event(
            event="wait",
            object=service_of(change.workload, moment.fleet),
            slot=change.slot,
            host=change.source or "",
            cause=change.cause,
            reason=change.wait.reason,
            message=change.waits,
        )
    return list(found.values())


def bounded(found: Iterable[Event]) -> tuple[Event, ...]:
    """At most `MOST_A_PASS` of them: of too many, those that differ in slot and host only are one."""
    told = tuple(found)
    if len(told) <= MOST_A_PASS:
        return told
    groups: dict[Event, int] = {}
    for one in told:
        key = replace(one, slot=None, host="", count=1) if one.slot is not None or one.count > 1 else one
        groups[key] = groups.get(key, 0) + one.count
    grouped = tuple(replace(one, count=count) for one, count in groups.items())
    if len(grouped) <= MOST_A_PASS:
        return grouped
    left = sum(one.count for one in grouped[MOST_A_PASS - 1 :])
    message = f"{left} more events of this pass are not told one by one"
    more = Event(event="history", object=FLEET, reason="ManyEvents", message=message)
    return (*grouped[: MOST_A_PASS - 1], more)
