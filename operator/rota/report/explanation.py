"""Why a workload is where it is, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rota.core.placement.board import NO_LIMIT
from rota.core.quantities import format_resources
from rota.core.why import Answer, Explanation, Remedy
from rota.report.documents import API_VERSION, change_document
from rota.report.plan import failure_lines, instance_lines
from rota.report.text import one_line


def explanation_document(told: Explanation) -> dict[str, Any]:
    """`rota why --format json`: what stands in the text, in the same order."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Explanation",
        "workload": str(told.workload),
        "slot": told.slot,
        "requests": format_resources(told.service.requests),
        "wanted": told.wanted,
        "rule": told.rule,
        "fills": told.fills,
        "running": told.running,
        "unplaced": told.unplaced,
        "failures": failure_lines(told.service, told.decision),
        "changes": [change_document(one) for one in told.changes],
        "hosts": [_host_document(one) for one in told.hosts],
        "leavesRoomForLossOf": _kept_free(told),
        "fleetwide": [{"filter": one.filter, "detail": one.detail} for one in told.fleetwide],
        "remedies": [{"change": _remedy(one), "hosts": list(one.hosts)} for one in told.remedies],
        "lastResort": told.last_resort,
        "makesRoom": list(told.makes_room),
        "heldBack": list(told.held_back),
    }


def _host_document(one: Answer) -> dict[str, Any]:
    """`takes` is null where nothing limits it."""
    return {
        "host": one.host,
        "runs": one.runs,
        "starts": one.starts,
        "leaves": one.leaves,
        "takes": None if one.more >= NO_LIMIT else one.more,
        "refusals": [
            {"filter": each.filter, "detail": each.detail, "mendable": each.mend is not None}
            for each in one.obstacles
        ],
    }


def render_explanation(told: Explanation) -> str:
    """A line that sums up, a line per host, then what would change it."""
    lines = [
        _sum(told),
        *(f"! {line}" for line in failure_lines(told.service, told.decision)),
        *instance_lines(told.changes),
    ]
    lines += _hosts(told.hosts)
    lines += [one.detail for one in told.fleetwide]
    if kept := _kept_free(told):
        lines.append(f"What fills leaves room for the loss of any one {kept.removesuffix('s')}.")
    what = f"Slot {told.slot}" if told.slot is not None else "One more"
    lines += _section(f"{what} would fit with any of these:", [_remedy(one) for one in told.remedies])
    lines += [f"{told.last_resort}."] if told.last_resort else []
    lines += _section("Makes room for it:", told.makes_room)
    lines += _section("Does not make room for it:", told.held_back)
    return "".join(f"{one_line(line)}\n" for line in lines)


def _kept_free(told: Explanation) -> str | None:
    """What the fleet is to survive the loss of, where that bounds the workload: `hosts` or `zones`."""
    headroom = told.decision.headroom
    return str(headroom.loss) if told.fills and headroom is not None else None


def _sum(told: Explanation) -> str:
    amounts = format_resources(told.service.requests).items()
    requests = ", ".join(f"{name} {amount}" for name, amount in amounts)
    starts = sum(answer.starts for answer in told.hosts)
    parts = [f"{told.running} run"] if told.running != 1 else ["1 runs"]
    parts += [f"{starts} to start"] if starts else []
    parts += [f"{told.unplaced} without a place"] if told.unplaced else []
    wanted = f"{told.wanted} {'fill what is left over' if told.fills else 'wanted'} by {told.rule}"
    return f"{told.service.kind} {told.workload}: {wanted}, {', '.join(parts)}; each asks for {requests}"


def _hosts(answers: Sequence[Answer]) -> list[str]:
    if not answers:
        return ["there is no host"]
    names = max(len(one.host) for one in answers)
    counts = max(len(_has(one)) for one in answers)
    return [f"{one.host:<{names}}  {_has(one):<{counts}}  {_says(one)}" for one in answers]


def _has(one: Answer) -> str:
    parts = [
        f"{count} {word}"
        for count, word in ((one.runs, "here"), (one.starts, "to start"), (one.leaves, "to leave"))
        if count
    ]
    return ", ".join(parts) or "-"


def _says(one: Answer) -> str:
    if one.more >= NO_LIMIT:
        return "takes any number more"
    return f"takes {one.more} more" if one.more else f"takes no more: {'; '.join(_details(one))}"


def _details(one: Answer) -> Iterable[str]:
    return (each.detail for each in one.obstacles)


def _remedy(one: Remedy) -> str:
    hosts = ", ".join(one.hosts)
    if one.mend.names_hosts:
        return f"{one.mend.before}{hosts}{one.mend.after}"
    return f"{one.mend.before} ({hosts})" if hosts else one.mend.before


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [title, *(f"    {line}" for line in lines)] if lines else []
