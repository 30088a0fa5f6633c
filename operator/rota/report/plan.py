"""A plan as one value, rendered twice: text for people, JSON for programs. The same words everywhere."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rota.core.decide import Decision, Unplaced
from rota.core.model import Fleet, WorkloadId
from rota.core.observed import Now
from rota.core.placement.headroom import Headroom
from rota.core.placement.refusals import refusal_lines
from rota.core.planning.actions import Change, ChangeKind
from rota.core.quantities import format_time
from rota.core.windows import InForce, Want, in_force, wanted
from rota.report.documents import API_VERSION, change_document, reasons_document, unplaced_document
from rota.report.text import one_line, survives

_DAY = timedelta(hours=24)
_MOMENT = timedelta(microseconds=1)
_VERBS = {
    ChangeKind.START: "start",
    ChangeKind.REPLACE: "replace",
    ChangeKind.MOVE: "move",
    ChangeKind.STOP: "stop",
}
FILL = "fill"
_WITHHELD = "PruneBlocked"
_LATER = " (where to is chosen once it has stopped)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """An instant in the coming day at which counts change: which policy, from and to which window.

    A count of None is whatever is left over then.
    """

    at: datetime
    policy: str
    before: str
    after: str
    counts: tuple[tuple[WorkloadId, int | None, int | None], ...]


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

    `fills` are the counts that workloads come to which fill what is left over; `headroom` says whether
    the fleet survives a loss, where it is to.
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
    held: str = ""
    blocked: str = ""
    warnings: tuple[str, ...] = field(default=())

    @property
    def summary(self) -> dict[str, int]:
        """How many instances start, stop, are replaced or moved; those that no host admits count apart."""
        kinds = Counter(change.kind for change in self.changes if not has_no_place(change))
        return {
            "start": kinds[ChangeKind.START],
            "replace": kinds[ChangeKind.REPLACE],
            "move": kinds[ChangeKind.MOVE],
            "stop": kinds[ChangeKind.STOP],
            "unplaced": sum(one.count for one in self.unplaced),
        }


def has_no_place(change: Change) -> bool:
    """Whether `change` would start what no host admits: it counts as unplaced, not as started."""
    return change.kind is ChangeKind.START and change.host is None


def plan_of(fleet: Fleet, decision: Decision, now: Now, **fields: Any) -> Plan:
    """The plan that `decision` is; `fields` are what only a comparison knows (base, observed, diffs …)."""
    defaults = {"head": fleet.revision, "base": "", "observed": "the hosts"}
    return Plan(
        now=now.wall,
        windows=decision.windows,
        changes=decision.changes,
        unplaced=decision.unplaced,
        counts={workload: want.count for workload, want in decision.wants.items()},
        edges=tuple(edges_of_day(fleet, now.wall)),
        fills={workload: want.count for workload, want in sorted(decision.wants.items()) if want.fill},
        headroom=decision.headroom,
        held=str(decision.held or ""),
        blocked=decision.guard.message,
        **(defaults | fields),
    )


def edges_of_day(fleet: Fleet, start: datetime) -> list[Edge]:
    """The edges of the coming 24 hours, in order, with the counts that they change."""
    edges = []
    for policy in fleet.policies:
        current, since = in_force(policy, fleet, start), start
        while current.until is not None and current.until - start <= _DAY:
            before = wanted(fleet, max(since, current.until - _MOMENT))
            after = wanted(fleet, current.until)
            edges.append(
                Edge(
                    at=current.until.astimezone(policy.zone),
                    policy=policy.name,
                    before=current.window,
                    after=current.then or "",
                    counts=tuple(
                        (workload, _stated(before[workload]), _stated(after[workload]))
                        for workload in sorted(fleet.services)
                        if _stated(before[workload]) != _stated(after[workload])
                    ),
                )
            )
            since = current.until
            current = in_force(policy, fleet, since)
    return sorted(edges, key=lambda edge: (edge.at, edge.policy))


def _stated(want: Want) -> int | None:
    """The number that is wanted; None where it is what is left over, which only that hour will tell."""
    return None if want.fill is not None else want.count


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
        "edges": [
            {
                "at": format_time(edge.at),
                "policy": edge.policy,
                "from": edge.before,
                "to": edge.after,
                "counts": [
                    {"workload": str(workload), "from": _or_fill(before), "to": _or_fill(after)}
                    for workload, before, after in edge.counts
                ],
            }
            for edge in plan.edges
        ],
        "unplaced": [unplaced_document(one) for one in plan.unplaced],
        "fills": [{"workload": str(workload), "count": count} for workload, count in plan.fills.items()],
        "survives": _survival(plan.headroom) if plan.headroom is not None else None,
        "held": plan.held,
        "blocked": plan.blocked,
        "warnings": list(plan.warnings),
    }


def _or_fill(count: int | None) -> int | str:
    return FILL if count is None else count


def _survival(headroom: Headroom) -> dict[str, Any]:
    return {
        "loss": headroom.loss,
        "checked": headroom.checked,
        "losses": headroom.losses,
        "shortfalls": [
            {
                "lost": one.lost,
                "workload": str(one.workload),
                "count": one.count,
                "reasons": reasons_document(one.refusals),
            }
            for one in headroom.shortfalls
        ],
    }


def render_text(plan: Plan) -> str:
    """The plan for a terminal or a log: a header, what changes by workload, the day's edges, a sum."""
    lines = [_header(plan)]
    lines += [f"! {text}" for text in (plan.held, plan.blocked, *plan.warnings) if text]
    lines += _objects(plan)
    lines += _unplaced(plan)
    if plan.edges:
        lines.append(f"Edges in the next 24 h: {' · '.join(_edges(plan.edges))}")
    if plan.fills:
        counts = (f"{workload} {count}" for workload, count in plan.fills.items())
        lines.append(f"Fill what is left over: {', '.join(counts)}")
    lines += survival_lines(plan.headroom)
    lines.append(_sum(plan))
    return "".join(f"{one_line(line)}\n" for line in lines)


def survival_lines(headroom: Headroom | None) -> list[str]:
    """Whether the fleet survives a loss: `Survives the loss of any one host: yes`, or what would not."""
    if headroom is None:
        return []
    return survives(headroom.loss, [str(one) for one in headroom.shortfalls], _extent(headroom))


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
        waits += f" (withheld: {_WITHHELD})" if change.waits == _WITHHELD else f" (waits: {change.waits})"
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


def _edges(edges: Iterable[Edge]) -> list[str]:
    """Each edge in its policy's own civil time; policies and zones are named where there are several."""
    policies = {edge.policy for edge in edges}
    zones = {str(edge.at.tzinfo) for edge in edges}
    texts = []
    for edge in edges:
        counts = ", ".join(
            f"{workload.name} {_or_fill(before)} -> {_or_fill(after)}"
            for workload, before, after in edge.counts
        )
        zone = f" {edge.at.tzinfo}" if len(zones) > 1 else ""
        policy = f" {edge.policy}" if len(policies) > 1 else ""
        changed = f" ({counts})" if counts else ""
        texts.append(f"{edge.at:%H:%M}{zone}{policy} {edge.before} -> {edge.after}{changed}")
    return texts


def _sum(plan: Plan) -> str:
    summary = plan.summary
    words = {"start": "to start", "replace": "to replace", "move": "to move", "stop": "to stop"}
    withheld = sum(change.waits == _WITHHELD for change in plan.changes)
    words["stop"] += f" ({withheld} of them withheld)" if withheld else ""
    parts = [f"{summary[key]} {text}" for key, text in words.items() if summary[key]]
    if summary["unplaced"]:
        parts.append(f"{summary['unplaced']} unplaced")
    return f"Plan: {', '.join(parts)}" if parts else "Plan: nothing to change"
