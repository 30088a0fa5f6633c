"""A plan as one value, rendered twice: text for people, JSON for programs. The same words everywhere."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from rota.core.decide import Decision, Unplaced
from rota.core.forecast.instant import Forecast
from rota.core.ids import WorkloadId
from rota.core.model import Fleet, Service
from rota.core.observed import Now
from rota.core.placement.headroom import Headroom
from rota.core.placement.refusals import refusal_lines
from rota.core.planning.actions import Change, ChangeKind
from rota.core.planning.drains import DrainState
from rota.core.planning.specs import failed
from rota.core.planning.waits import WaitReason
from rota.core.quantities import format_time
from rota.core.windows import InForce
from rota.report.clock_words import duration
from rota.report.documents import API_VERSION, change_document, survives_document, unplaced_document
from rota.report.edges import Edge, coming_day_lines, edge_document, edges_of_day
from rota.report.survival_words import but, loss_lines, loss_of, survival
from rota.report.text import one_line, survives

_VERBS = {
    ChangeKind.START: "start",
    ChangeKind.REPLACE: "replace",
    ChangeKind.MOVE: "move",
    ChangeKind.STOP: "stop",
}
_LATER = " (where to is chosen once it has stopped)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectDiff:
    """One manifest that differs between base and head; `fields` are lines such as `~ replicas: 3 -> 4`."""

    change: str
    kind: str
    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a change does. `base` and `head` are commits or words for a working tree.

    `fills` are the counts that workloads come to which fill what is left over; `headroom` says whether the
    fleet survives a loss, where it is to. `drains` say what leaves hosts that are to be empty, and what will
    be stopped there by force; `unseen_drains` are the hosts of those that no decision saw before, whose time
    begins when the daemon sees them. `failures` say which specs failed and what holds instead; `brake` that
    so many hosts are lost that it is not believed. `forecast` is that of the coming 24 hours, where one was
    made.
    """

    head: str
    base: str
    observed: str
    now: datetime
    windows: tuple[InForce, ...]
    changes: tuple[Change, ...]
    unplaced: tuple[Unplaced, ...]
    counts: Mapping[WorkloadId, int]
    diffs: tuple[ObjectDiff, ...] = ()
    edges: tuple[Edge, ...] = ()
    fills: Mapping[WorkloadId, int] = field(default_factory=dict)
    headroom: Headroom | None = None
    drains: tuple[DrainState, ...] = ()
    unseen_drains: frozenset[str] = frozenset()
    failures: tuple[str, ...] = ()
    brake: str = ""
    forecast: Forecast | None = None
    held: str = ""
    blocked: str = ""
    warnings: tuple[str, ...] = field(default=())

    @property
    def summary(self) -> dict[str, int]:
        """How many instances start, stop, are replaced or moved; those that no host admits count apart, and
        so does what a drain stops by force at its deadline."""
        kinds = Counter(change.kind for change in self.changes if not has_no_place(change))
        return {
            "start": kinds[ChangeKind.START],
            "replace": kinds[ChangeKind.REPLACE],
            "move": kinds[ChangeKind.MOVE],
            "stop": kinds[ChangeKind.STOP],
            "unplaced": sum(one.count for one in self.unplaced),
            "forced": sum(len(one.stuck) for one in self.drains if one.deadline is not None),
        }


def has_no_place(change: Change) -> bool:
    """Whether `change` would start what no host admits: it counts as unplaced, not as started."""
    return change.kind is ChangeKind.START and change.host is None


def plan_of(
    fleet: Fleet, decision: Decision, now: Now, forecast: Forecast | None = None, **fields: Any
) -> Plan:
    """The plan that `decision` is; `fields` are what only a comparison knows (base, observed, diffs …)."""
    defaults = {"head": fleet.revision, "base": "", "observed": "the hosts"}
    return Plan(
        now=now.wall,
        windows=decision.windows,
        changes=decision.changes,
        unplaced=decision.unplaced,
        counts={workload: want.count for workload, want in decision.wants.items()},
        edges=tuple(edges_of_day(fleet, now.wall, forecast)),
        forecast=forecast,
        fills={workload: want.count for workload, want in sorted(decision.wants.items()) if want.fill},
        headroom=_with_slots(decision.headroom, forecast),
        drains=decision.drains,
        unseen_drains=frozenset(name for name, since in decision.ledger.drains.items() if since == now.wall),
        failures=tuple(
            line for _, service in sorted(fleet.services.items()) for line in failure_lines(service, decision)
        ),
        brake=decision.brake,
        held=str(decision.held or ""),
        blocked=decision.guard.message,
        **(defaults | fields),
    )


def _with_slots(headroom: Headroom | None, forecast: Forecast | None) -> Headroom | None:
    """The verdict of a decision, with the slots of what is pinned, which only the forecast follows."""
    first = forecast.instants[0].headroom if forecast is not None else None
    if headroom is None or first is None:
        return headroom
    return replace(headroom, pinned=first.pinned)


def plan_document(plan: Plan) -> dict[str, Any]:
    """`rota plan --format json`."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Plan",
        "base": plan.base,
        "head": plan.head,
        "observed": plan.observed,
        "now": format_time(plan.now),
        "windows": [{"policy": str(one.policy), "window": one.window} for one in plan.windows],
        "objects": [
            {"change": one.change, "kind": one.kind, "name": one.name, "fields": list(one.fields)}
            for one in plan.diffs
        ],
        "changes": [change_document(change) for change in plan.changes],
        "summary": plan.summary,
        "edges": [edge_document(edge) for edge in plan.edges],
        "unplaced": [unplaced_document(one) for one in plan.unplaced],
        "fills": [{"workload": str(workload), "count": count} for workload, count in plan.fills.items()],
        "survives": survives_document(plan.headroom),
        "drains": [drain_document(one) for one in plan.drains],
        "failures": list(plan.failures),
        "brake": plan.brake,
        "held": plan.held,
        "blocked": plan.blocked,
        "warnings": list(plan.warnings),
    }


def render_text(plan: Plan) -> str:
    """The plan for a terminal or a log: a header, what changes by workload, the day's edges, a sum."""
    lines = [_header(plan)]
    lines += [
        f"! {text}" for text in (plan.held, plan.brake, plan.blocked, *plan.failures, *plan.warnings) if text
    ]
    lines += _objects(plan)
    lines += [line for one in plan.drains for line in _drain_lines(one, plan)]
    lines += _unplaced(plan)
    lines += coming_day_lines(plan.edges, plan.forecast)
    if plan.fills:
        counts = (f"{workload} {count}" for workload, count in plan.fills.items())
        lines.append(f"Fill what is left over: {', '.join(counts)}")
    lines += survival_lines(plan.headroom, plan.forecast)
    lines.append(verdict(plan))
    return "".join(f"{one_line(line)}\n" for line in lines)


def drain_document(one: DrainState) -> dict[str, Any]:
    """What is left on a host that is to be empty, and what has nowhere to go; `deadline` null where there is
    none."""
    return {
        "host": one.host,
        "cause": one.cause,
        "deadline": None if one.deadline is None else format_time(one.deadline),
        "left": one.left,
        "stuck": [{"workload": str(each.workload), "slot": each.slot, "why": each.why} for each in one.stuck],
    }


def failure_lines(service: Service, decision: Decision) -> list[str]:
    """That what `service` states failed, and what holds instead; nothing where it did not."""
    found = failed(service, decision.ledger)
    if found is None:
        return []
    good = decision.ledger.good.get(service.id)
    line = f"{service.kind} {service.id}: {_commit(found.revision)} failed ({found.reason})"
    if found.reverts and good is not None:
        return [f"{line}; the spec of {_commit(good.revision)} holds until its document changes"]
    return [f"{line}; its rollout waits until its document changes"]


def _commit(revision: str) -> str:
    return f"commit {revision[:7]}" if revision else "the working tree"


def _drain_lines(one: DrainState, plan: Plan) -> list[str]:
    """What a drain comes to, and what will be stopped by force, before it is."""
    first = f"Drain of {one.host}: {one.left} instance{'s'[: one.left != 1]} to leave"
    if one.deadline is None:
        stays = "stays, for there is no deadline"
        return [first, *(f"    {each.workload}/{each.slot} {stays}: {each.why}" for each in one.stuck)]
    when = f"by {format_time(one.deadline)}"
    if one.host in plan.unseen_drains:
        when = f"within {duration(one.deadline - plan.now)} after it is seen"
    forced = f"is stopped by force if it is still on {one.host} then"
    return [
        f"{first}, {when}",
        *(f"! {each.workload}/{each.slot} {forced}: {each.why}" for each in one.stuck),
    ]


def survival_lines(headroom: Headroom | None, forecast: Forecast | None = None) -> list[str]:
    """Whether the fleet survives a loss: `Survives the loss of any one host: yes`, or what would not. Where
    that is not the same all day, the hours are told, and what is short in the first of those that fail."""
    if headroom is None or not headroom.losses:
        return []
    failing = next((one for one in forecast.instants if one.survives is False), None) if forecast else None
    if forecast is None or failing is None or all(one.survives is False for one in forecast.instants):
        first, *others = survives(headroom.loss, loss_lines(headroom), _extent(headroom))
        unplaced = forecast is not None and bool(forecast.instants[0].lacks)
        return [first if headroom.shortfalls else f"{first}{but(headroom, unplaced=unplaced)}", *others]
    assert failing.headroom is not None
    return [
        f"Survives the loss of any one {loss_of(forecast)}: {survival(forecast)}",
        *(f"    {line}" for line in loss_lines(failing.headroom)),
    ]


def _extent(headroom: Headroom) -> str:
    """What the verdict rests on, where not every loss was played through."""
    if headroom.checked == headroom.losses:
        return ""
    return f" ({headroom.checked} of {headroom.losses} losses were played through, the fullest first)"


def _header(plan: Plan) -> str:
    between = f"{_short(plan.base)}..{_short(plan.head)}" if plan.base else _short(plan.head)
    where = [f"observed: {plan.observed}"]
    if plan.windows:
        zone = plan.windows[0].policy.zone
        where.append(f"{plan.now.astimezone(zone):%a %Y-%m-%d %H:%M} {zone.key}")
        where.append(_windows(plan.windows))
    else:
        where.append(format_time(plan.now))
    return f"Plan for {between}   ({', '.join(where)})"


def _windows(windows: tuple[InForce, ...]) -> str:
    if len(windows) == 1:
        return f"window {windows[0].window}"
    return f"windows {', '.join(f'{one.policy.name}/{one.window}' for one in windows)}"


def _short(commit: str) -> str:
    return commit[:7] if len(commit) >= 40 else commit or "the working tree"


def _objects(plan: Plan) -> list[str]:
    """Each object that differs, then the instances that change with it."""
    by_workload: dict[str, list[Change]] = defaultdict(list)
    for change in plan.changes:
        by_workload[str(change.workload)].append(change)
    lines = []
    for diff in plan.diffs:
        changes = by_workload.pop(diff.name, []) if diff.kind == "Service" else []
        lines.append(f"{diff.change} {diff.kind} {diff.name}{_counted(changes)}")
        lines += [f"    {line}" for line in diff.fields]
        lines += instance_lines(changes)
    for workload, changes in sorted(by_workload.items()):
        symbol = "-" if all(change.kind is ChangeKind.STOP for change in changes) else "~"
        lines.append(f"{symbol} Service {workload}{_counted(changes)}")
        lines += instance_lines(changes)
    return lines


def _counted(changes: list[Change]) -> str:
    kinds = Counter(change.kind for change in changes if not has_no_place(change))
    parts = [f"{kinds[kind]} to {verb}" for kind, verb in _VERBS.items() if kinds[kind]]
    unplaced = sum(has_no_place(change) for change in changes)
    parts += [f"{unplaced} unplaced"] if unplaced else []
    return f"   ({', '.join(parts)})" if parts else ""


def instance_lines(changes: Iterable[Change]) -> list[str]:
    """One line per host and kind of change: `+ web/3, web/4 on h07`."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for change in changes:
        if has_no_place(change):
            continue  # told under unplaced, with every host's reason
        groups[_where(change)].append(f"{change.workload.name}/{change.slot}")
    return [f"    {symbol} {', '.join(names)} {where}" for (symbol, where), names in groups.items()]


def _where(change: Change) -> tuple[str, str]:
    source, host = change.source, change.host
    waits = _why(change)
    if change.waits:
        withheld = change.waits_for(WaitReason.GUARD)
        waits += f" ({'withheld' if withheld else 'waits'}: {change.waits})"
    match change.kind:
        case ChangeKind.START:
            return "+", f"on {host}{waits}"
        case ChangeKind.STOP:
            return "-", f"on {source}{waits}"
        case ChangeKind.REPLACE | ChangeKind.MOVE:
            symbol = "~" if change.kind is ChangeKind.REPLACE else ">"
            if host is None:
                return symbol, f"away from {source}{waits}{'' if change.waits else _LATER}"
            return symbol, f"on {host}{waits}" if host == source else f"from {source} to {host}{waits}"


def _why(change: Change) -> str:
    """The cause, where it is another one than the commit that the plan is about."""
    own = change.cause.startswith(("commit ", "the working tree"))
    return "" if own else f": {change.cause}"


def _unplaced(plan: Plan) -> list[str]:
    lines = []
    for one in plan.unplaced:
        whole = max(plan.counts.get(one.workload, 0), one.count)
        have = "has" if one.count == 1 else "have"
        of = f"{one.count} of {whole} instance{'s'[: whole != 1]}"
        lines.append(f"! Service {one.workload}: {of} {have} no place")
        lines += [f"    {text}" for text in refusal_lines(one.refusals)]
    return lines


def verdict(plan: Plan) -> str:
    """`Plan: 1 to start, 2 unplaced`: the line that sums it up."""
    summary = plan.summary
    words = {"start": "to start", "replace": "to replace", "move": "to move", "stop": "to stop"}
    withheld = sum(change.waits_for(WaitReason.GUARD) for change in plan.changes)
    words["stop"] += f" ({withheld} of them withheld)" if withheld else ""
    parts = [f"{summary[key]} {text}" for key, text in words.items() if summary[key]]
    if summary["unplaced"]:
        parts.append(f"{summary['unplaced']} unplaced")
    if summary["forced"]:
        parts.append(f"{summary['forced']} to be stopped by force")
    return f"Plan: {', '.join(parts)}" if parts else "Plan: nothing to change"
