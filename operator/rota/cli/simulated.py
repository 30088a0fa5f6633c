"""What a simulation found, as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rota.cli.tables import table
from rota.core.edge_lines import how_long
from rota.report.text import one_line
from rota.simulation.report import EdgeMet, HostRun, SimulationReport, Verdict, WorkloadRun


def render(report: SimulationReport, *, events: bool) -> str:
    """The whole report; with `events` what happened, in order, first."""
    blocks = [_header(report)]
    if events:
        blocks.append("\n".join(one_line(f"{_at(one.at, report)}  {one.text}") for one in report.events))
    if report.edges:
        rows = [_edge(one, report) for one in report.edges]
        blocks.append(table(("EDGE", "WINDOW", "WORKLOAD", "READY", "ALL HEALTHY", "VERDICT"), rows))
    blocks.append(
        table(
            ("WORKLOAD", "AT WORST", "FLOOR THEN", "BELOW", "INSTANCE-HOURS", "GAINED BY FILLING"),
            [_workload(one) for one in report.workloads],
        )
        + "\nAt worst: how many served when fewest did, against the floor: as many as must serve at any time."
    )
    priced = any(one.cost for one in report.hosts)
    header = ("HOST", "HOURS", "EMPTY", "LOST", *(("COST", "COST WHILE EMPTY") if priced else ()))
    rows = [_host(one, priced=priced) for one in report.hosts]
    blocks.append(table(header, [*rows, _sum(report)] if priced else rows))
    blocks.append("\n".join(_verdict(report)))
    return "\n\n".join(block for block in blocks if block)


def _header(report: SimulationReport) -> str:
    of = report.revision[:7] or "the folder as it stands"
    begins, ends = (at.astimezone(report.zone) for at in (report.start, report.end))
    return (
        f"Fleet {report.fleet} ({of}) from {begins:%a %Y-%m-%d %H:%M} to {ends:%a %Y-%m-%d %H:%M} "
        f"{report.zone.key}, seed {report.seed}"
    )


def _at(at: datetime, report: SimulationReport) -> str:
    return f"{at.astimezone(report.zone):%a %m-%d %H:%M:%S}"


def _edge(one: EdgeMet, report: SimulationReport) -> tuple[str, ...]:
    return (
        f"{one.at.astimezone(report.zone):%a %m-%d %H:%M}",
        one.rule,
        str(one.workload),
        f"{one.ready}/{one.wanted}",
        _offset(one.offset),
        str(one.verdict),
    )


def _offset(offset: float | None) -> str:
    if offset is None:
        return "never"
    return f"{how_long(abs(offset))} {'before' if offset <= 0 else 'after'}"


def _workload(one: WorkloadRun) -> tuple[str, ...]:
    below = sum(each.seconds for each in one.below)
    return (
        str(one.workload),
        str(one.lowest),
        str(one.floor),
        f"{_times(len(one.below))}, {_length(below)}" if one.below else "never",
        f"{one.hours:.1f}",
        "" if one.fixed is None else f"{one.gained:+.1f} over {one.fixed} all the time",
    )


def _host(one: HostRun, *, priced: bool) -> tuple[str, ...]:
    cost = (f"{one.cost:.2f}", f"{one.empty_cost:.2f}") if priced else ()
    return (one.name, f"{one.hours:.1f}", f"{one.empty_hours:.1f}", _times(one.losses), *cost)


def _sum(report: SimulationReport) -> tuple[str, ...]:
    hosts = report.hosts
    return (
        "all",
        f"{sum(one.hours for one in hosts):.1f}",
        f"{sum(one.empty_hours for one in hosts):.1f}",
        "",
        f"{sum(one.cost for one in hosts):.2f}",
        f"{sum(one.empty_cost for one in hosts):.2f}",
    )


def _verdict(report: SimulationReport) -> Iterator[str]:
    for one in report.workloads:
        for each in one.below:
            yield (
                f"! {one.workload} served with {each.lowest}, {each.floor - each.lowest} below its floor, "
                f"from {_at(each.since, report)} for {_length(each.seconds)}"
                f"{'' if each.faulty else ', without a fault'}"
            )
    for broken in report.broken:
        yield (
            f"! {_at(broken.at, report)} Rota left {broken.workload} with {broken.left}, "
            f"at least {broken.floor} must serve"
        )
    for edge in report.late:
        yield f"! {_at(edge.at, report)} {edge.workload} had {edge.ready} of {edge.wanted}: late"
    for edge in report.roomless:
        yield f"! {_at(edge.at, report)} {edge.workload} had {edge.ready} of {edge.wanted}: no room for more"
    if report.faults:
        yield "What a lost host had is started elsewhere; pinned data and strict singletons wait for it."
    counts = report.counts
    yield (
        f"Starts {counts.starts}, stops {counts.stops}, moves {counts.moves}, failures {counts.failures}, "
        f"hosts lost {sum(one.losses for one in report.hosts)}, passes {counts.passes}"
    )
    met = sum(one.verdict is Verdict.MET for one in report.edges)
    others = {
        Verdict.AFTER_ROOM: "followed the room they needed",
        Verdict.NO_LEAD: "had no lead",
        Verdict.NO_ROOM: "had no room",
    }
    told = ""
    for verdict, words in others.items():
        number = sum(one.verdict is verdict for one in report.edges)
        told += f", {number} {words}" if number else ""
    short = f"; below the floor without a fault {len(report.short)}" if report.short else ""
    yield (
        f"{'Kept' if report.kept else 'NOT KEPT'}: edges met {met}, late {len(report.late)}{told}{short}; "
        f"budgets broken by Rota {len(report.broken)}"
    )


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def _length(seconds: float) -> str:
    """A length of time as people say it: to the tenth of a second up to a minute, then to the second."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
