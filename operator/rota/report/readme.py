"""The README of the status branch: one verdict line, then tables. Escaped, for it is read in forges."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rota.core.quantities import format_cpu, format_memory
from rota.core.status import FleetStatus
from rota.report.text import survives

_UNLINKED = "\u200b"
"""A space of no width: `@name`, `#7`, `www.` and `://` are no mention and no link with it."""
_SPECIAL = str.maketrans(
    {char: f"\\{char}" for char in "\\`*_[]<>|!&~$"} | {char: f"\\{char}{_UNLINKED}" for char in "#@"}
)
_LINK = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)


def readme(status: FleetStatus) -> str:
    """Markdown: what a person who opens the branch wants to know first."""
    parts = [f"# {escape(status.fleet) or 'Rota'}: {verdict(status)}", _source(status)]
    parts += _conditions(status) + _survival(status)
    parts += _windows(status) + _edges(status) + _workloads(status) + _hosts(status) + _problems(status)
    return "\n\n".join(part for part in parts if part) + "\n"


def verdict(status: FleetStatus) -> str:
    """One line: Ready or not, and the reason."""
    ready = next(one for one in status.conditions if one.type == "Ready")
    word = {"True": "Ready", "False": "not Ready"}.get(ready.status, "unknown")
    return f"{word} ({escape(ready.reason)}). {escape(ready.message)}".strip()


def escape(text: str) -> str:
    """Text that came from manifests, Engines or git, so that no forge reads markup into it."""
    plain = text if text.isprintable() else "".join(one if one.isprintable() else " " for one in text)
    return _LINK.sub(_UNLINKED, plain).translate(_SPECIAL)


def _source(status: FleetStatus) -> str:
    source = status.source
    lines = [f"Applied: {_commit(source.applied)}"]
    if source.attempted != source.applied:
        lines.append(f"Attempted: {_commit(source.attempted)}")
    return "<br>\n".join(lines)


def _commit(commit: str) -> str:
    return f"`{commit}`" if commit else "none yet"


def _conditions(status: FleetStatus) -> list[str]:
    rows = [
        f"- **{one.type}** ({escape(one.reason)}): {escape(one.message)}"
        for one in status.conditions
        if one.type != "Ready"
    ]
    return ["\n".join(rows)] if rows else []


def _survival(status: FleetStatus) -> list[str]:
    if status.survival is None:
        return []
    verdict, *shortfalls = survives(status.survival.loss, status.survival.shortfalls)
    return ["\n".join([escape(verdict), *(f"- {escape(one.strip())}" for one in shortfalls)])]


def _windows(status: FleetStatus) -> list[str]:
    rows = [
        (escape(policy), escape(window), f"{escape(edge)} → {escape(then)}" if edge else "never changes")
        for policy, window, edge, then in status.windows
    ]
    return _section("Windows", ("Policy", "Window", "Next edge"), rows)


def _edges(status: FleetStatus) -> list[str]:
    """The latest first."""
    rows = [f"- {one.at:%a %Y-%m-%d}: {escape(one.text)}" for one in reversed(status.edges)]
    return ["## Edges", "\n".join(rows)] if rows else []


def _workloads(status: FleetStatus) -> list[str]:
    rows = [
        (
            escape(f"{one.namespace}/{one.name}"),
            one.health,
            f"{one.ready}/{one.desired}",
            escape(one.rule),
            escape(one.reason),
        )
        for one in status.workloads
    ]
    return _section("Workloads", ("Workload", "Health", "Ready", "Rule", "Why"), rows)


def _hosts(status: FleetStatus) -> list[str]:
    rows = []
    for host in status.hosts:
        capacity = host.capacity
        cpu = f"{format_cpu(host.requested.cpu)} of {format_cpu(capacity.cpu) if capacity else '?'}"
        memory = (
            f"{format_memory(host.requested.memory)} of {format_memory(capacity.memory) if capacity else '?'}"
        )
        detail = "; ".join(escape(text) for text in (host.detail, host.cordon) if text)
        rows.append(
            (escape(host.view.name), host.state, str(len(host.view.all_containers)), cpu, memory, detail)
        )
    return _section("Hosts", ("Host", "State", "Instances", "Cpu", "Memory", "Why"), rows)


def _problems(status: FleetStatus) -> list[str]:
    rows = [
        f"- {escape(one.path)}:{one.line}:{one.column}: {escape(one.message)}"
        for one in status.source.problems
    ]
    return ["## Problems", "\n".join(rows)] if rows else []


def _section(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return []
    rule = f"|{'|'.join(' --- ' for _ in header)}|"
    return [f"## {title}", "\n".join([f"| {' | '.join(header)} |", rule, *lines])]
