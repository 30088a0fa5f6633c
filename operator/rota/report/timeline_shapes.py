"""The geometry of the picture of a forecast: what lies where, in units of the picture, one decimal each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from itertools import groupby
from typing import Any

from rota.core.forecast.days import days_of, midnight
from rota.core.forecast.instant import Forecast
from rota.core.hours import resolve
from rota.core.ids import WorkloadId
from rota.core.quantities import format_amount
from rota.core.resources import Resources
from rota.report.forecast_words import extent, findings, policy_names
from rota.report.text import one_line
from rota.report.timeline_parts import (
    CHARACTER,
    WIDTH,
    Area,
    Band,
    Box,
    Entry,
    Label,
    Layer,
    Line,
    Row,
    Step,
    Tick,
    cut,
    unit,
    wrapped,
)

LIGHT = (
    "#3b76d6", "#e0902f", "#2f9e75", "#c9538f", "#7d63c9", "#2a9db3", "#86a32e", "#b8674a", "#9aa4b0",
)  # fmt: skip
DARK = (
    "#4f8ae8", "#d98f35", "#36ad82", "#d4659f", "#9079dd", "#35aabf", "#8fae3a", "#c87a5c", "#6b7683",
)  # fmt: skip
"""The last one is of the others, who have no colour of their own."""
_OWN_COLOURS = len(LIGHT) - 1

_LEFT, _RIGHT = 104.0, 24.0
_PLOT_HEIGHT, _BAND_HEIGHT, _LINE_HEIGHT = 240.0, 18.0, 18.0
_HEADING_CHARACTER = 8.6
"""The widest on average at 14 px and bold."""
_APART = 2.0
_LINES_APART = 3.0
"""Lines of edges nearer than this are drawn as one: they would be a grey wall."""
_MOST_STEPS = 700
"""So many steps of all layers together are drawn; more make buckets wider than the pixel that is seen."""
_MOST_BANDS = 6
_LEGEND_COLUMNS = 3


def shapes(forecast: Forecast) -> Mapping[str, Any]:
    """Everything that the template draws, by name."""
    canvas = _Canvas(forecast)
    bands, band_names, y = canvas.bands(canvas.headings[-1][1] + 14)
    top = y + 24
    foot = top + _PLOT_HEIGHT
    dimension = dominant(forecast)
    layers = canvas.layers(dimension)
    legend, bottom = _legend(layers, forecast, dimension, foot + 50)
    height = bottom + 8
    levels = [(share, foot - share * _PLOT_HEIGHT) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return {
        "width": int(WIDTH),
        "height": int(height),
        "description": one_line(_description(layers, forecast)),
        "page": Box.of(0, 0, WIDTH, int(height)),
        "headings": [Label.of(16, y, text) for text, y in canvas.headings],
        "bands": bands,
        "band_names": band_names,
        "plot": Box.of(_LEFT, top, canvas.width, _PLOT_HEIGHT),
        "areas": [area for area in _areas(layers, canvas.steps(layers), canvas, foot) if area.path],
        "levels": [(unit(y), Label.of(_LEFT - 8, y + 4, f"{share:.0%}")) for share, y in levels],
        "ticks": list(canvas.ticks(foot)),
        "alarms": list(canvas.alarms(top)),
        "lines": list(canvas.lines(top, foot)),
        "legend": legend,
    }


def dominant(forecast: Forecast) -> str:
    """`cpu` or `memory`: the one of which, at its fullest, more of the fleet is asked for."""

    def peak(dimension: str) -> float:
        whole = max(_amount(forecast.capacity, dimension), 1)
        return max(
            sum(
                count * _amount(forecast.fleet.services[workload].requests, dimension)
                for workload, count in one.counts.items()
            )
            / whole
            for one in forecast.instants
        )

    return max(("cpu", "memory"), key=lambda dimension: (peak(dimension), dimension == "cpu"))


class _Canvas:
    """The frame of the picture: where an instant lies, and what is drawn over time."""

    def __init__(self, forecast: Forecast) -> None:
        self.forecast = forecast
        self.width = WIDTH - _LEFT - _RIGHT
        self._length = (forecast.end - forecast.start).total_seconds()
        lines = wrapped(f"Forecast {extent(forecast)}", int((WIDTH - 32) / _HEADING_CHARACTER))
        lines += wrapped(findings(forecast), int((WIDTH - 32) / CHARACTER))
        self.headings = [(text, 26 + number * _LINE_HEIGHT) for number, text in enumerate(lines)]

    def x(self, at: datetime) -> float:
        gone = (at - self.forecast.start).total_seconds() / self._length
        return _LEFT + gone * self.width

    def steps(self, layers: Sequence[Layer]) -> list[Step]:
        """What is drawn from where on. Instants that are too short to be seen share a bucket of at least a
        pixel, and it shows the one at which most of the fleet is taken, so that no peak is lost."""
        instants = self.forecast.instants
        taken = [sum(column) for column in zip(*(layer.shares for layer in layers), strict=True)]
        taken = taken or [0.0] * len(instants)
        crowded = len(instants) * len(layers) > _MOST_STEPS
        least = max(1.0, self.width * len(layers) / _MOST_STEPS) if crowded else 1.0
        found: list[Step] = []
        closed = True
        for number, one in enumerate(instants):
            x, end = self.x(one.at), self.x(self.forecast.until(number))
            if closed or end - x >= least:
                found.append(Step(x, number))
            elif taken[number] > taken[found[-1].number]:
                found[-1] = Step(found[-1].x, number)
            closed = end - found[-1].x >= least
        return found

    def bands(self, y: float) -> tuple[list[Band], list[Label], float]:
        """The windows in force, a row for each policy; and where the rows end."""
        forecast = self.forecast
        policies = [policy for policy, _ in forecast.instants[0].windows]
        names_of = policy_names(forecast)
        bands, names = [], []
        for row, policy in enumerate(policies[:_MOST_BANDS]):
            top = y + row * (_BAND_HEIGHT + 3)
            short = cut(names_of[policy], int((_LEFT - 16) / CHARACTER))
            names.append(Label.of(_LEFT - 8, top + 13, short))
            bands += [
                self._band(window, start, end, top) for window, start, end in self._in_force(row) if window
            ]
        shown = min(len(policies), _MOST_BANDS)
        end = y + shown * (_BAND_HEIGHT + 3)
        if len(policies) > _MOST_BANDS:
            names.append(Label.of(_LEFT - 8, end + 12, f"and {len(policies) - _MOST_BANDS} more"))
            end += _BAND_HEIGHT
        return bands, names, end

    def _in_force(self, row: int) -> Iterator[tuple[str, datetime, datetime]]:
        numbered = enumerate(self.forecast.instants)
        for window, group in groupby(numbered, key=lambda one: one[1].windows[row][1]):
            ones = list(group)
            yield window, ones[0][1].at, self.forecast.until(ones[-1][0])

    def _band(self, window: str, start: datetime, end: datetime, top: float) -> Band:
        left, right = self.x(start), self.x(end)
        fits = len(window) * 6.4 + 6 < right - left
        label = Label.of((left + right) / 2, top + 13, window) if fits else None
        return Band(Box.of(left + 0.75, top, max(right - left - 1.5, 0.5), _BAND_HEIGHT), label)

    def ticks(self, foot: float) -> Iterator[Tick]:
        """Local clock times under the plot; in a forecast of several days the days."""
        days = list(days_of(self.forecast))
        row = Row()
        if len(days) > 2:
            for day in days:
                x, end = self.x(day.start), self.x(day.end)
                name = f"{day.date:%a %m-%d}" if (end - x) > 80 else f"{day.date:%d}"
                yield Tick(unit(x), unit(foot + 18), unit(foot + 6), "")
                middle = (x + end) / 2
                if row.fits(middle, name):
                    yield Tick(unit(middle), unit(foot + 18), "", name)
            return
        for day in days:
            for hour in range(0, 24, 3):
                at = resolve(day.date, time(hour), self.forecast.zone)
                if day.start <= at < day.end and row.fits(self.x(at), f"{hour:02}:00"):
                    yield Tick(unit(self.x(at)), unit(foot + 18), unit(foot + 6), f"{hour:02}:00")
        last = days[-1].end
        if last == midnight(days[-1].date + timedelta(days=1), self.forecast.zone):
            yield Tick(unit(self.x(last)), unit(foot + 18), unit(foot + 6), "24:00")

    def lines(self, top: float, foot: float) -> Iterator[Line]:
        """Edges, with their times where these do not touch; leads that can be told from their edges, with
        theirs where there is room. Of those that would touch each other the first is drawn."""
        row = Row()
        labelled = []
        for kind in ("edge", "lead"):
            drawn = -WIDTH
            for one in self.forecast.instants[1:]:
                is_edge = bool(one.turns or one.overrides)
                if is_edge is not (kind == "edge") or not (is_edge or one.leads):
                    continue
                x = self.x(one.at)
                if kind == "lead" and all(self.x(lead.at) - x < _APART for lead in one.leads):
                    continue
                if x - drawn < _LINES_APART:
                    continue
                drawn = x
                clock = f"{one.at.astimezone(self.forecast.zone):%H:%M}"
                text = clock if kind == "edge" else f"lead {clock}"
                label = Label.of(x, top - 7, text) if row.fits(x, text) else None
                labelled.append(Line(kind, unit(x), unit(top - 3), unit(foot), label))
        yield from labelled

    def alarms(self, top: float) -> Iterator[Box]:
        """Where something has no place: a bar on top of the plot."""
        for short, group in groupby(enumerate(self.forecast.instants), key=lambda one: bool(one[1].lacks)):
            ones = list(group)
            if short:
                left, right = self.x(ones[0][1].at), self.x(self.forecast.until(ones[-1][0]))
                yield Box.of(left, top, max(right - left, 1.5), 5)

    def layers(self, dimension: str) -> list[Layer]:
        """Who has how much at each instant: the steady ones at the bottom, then by size; the smallest
        joined."""
        forecast = self.forecast
        whole = max(_amount(forecast.capacity, dimension), 1)
        shares = {
            workload: tuple(
                one.counts.get(workload, 0) * _amount(service.requests, dimension) / whole
                for one in forecast.instants
            )
            for workload, service in sorted(forecast.fleet.services.items())
        }
        lasts = [
            (forecast.until(number) - one.at).total_seconds() for number, one in enumerate(forecast.instants)
        ]
        size = {
            workload: sum(share * long for share, long in zip(column, lasts, strict=True))
            for workload, column in shares.items()
        }
        by_size = sorted(shares, key=lambda one: (-round(size[one], 3), one))
        own = by_size if len(by_size) <= _OWN_COLOURS else by_size[:_OWN_COLOURS]
        others = by_size[len(own) :]
        colours = {workload: number for number, workload in enumerate(own)}
        steady = sorted(own, key=lambda one: (len(set(shares[one])) > 1, colours[one]))
        layers = [Layer(colours[one], _with_counts(one, forecast), shares[one]) for one in steady]
        if others:
            joined = tuple(sum(column) for column in zip(*(shares[one] for one in others), strict=True))
            layers.insert(0, Layer(_OWN_COLOURS, f"{len(others)} others", joined))
        return layers


def _areas(layers: Sequence[Layer], steps: Sequence[Step], canvas: _Canvas, foot: float) -> Iterator[Area]:
    """Each layer as a closed outline of steps."""
    edges = [*(one.x for one in steps), canvas.x(canvas.forecast.end)]
    below = [0.0] * len(steps)
    for layer in layers:
        above = [base + layer.shares[step.number] for base, step in zip(below, steps, strict=True)]
        if any(layer.shares):
            tops = [unit(foot - min(level, 1.0) * _PLOT_HEIGHT) for level in above]
            feet = [unit(foot - min(level, 1.0) * _PLOT_HEIGHT) for level in below]
            there = "".join(f"V{y}H{unit(x)}" for y, x in _merged(tops, edges[1:]))
            back = "".join(f"V{y}H{unit(x)}" for y, x in _merged(feet[::-1], edges[-2::-1]))
            yield Area(layer.colour, layer.name, f"M{unit(edges[0])} {tops[0]}{there}{back}z")
        below = above


def _merged(levels: Sequence[str], ends: Sequence[float]) -> Iterator[tuple[str, float]]:
    """Neighbours of one level as one step."""
    for level, group in groupby(zip(levels, ends, strict=True), key=lambda one: one[0]):
        yield level, list(group)[-1][1]


def _legend(
    layers: Sequence[Layer], forecast: Forecast, dimension: str, y: float
) -> tuple[list[Entry], float]:
    """What the colours are, from the top of the plot down, and what is free; and where it ends."""
    whole = format_amount(dimension, _amount(forecast.capacity, dimension))
    least, most = _free(layers)
    entries = [("free", f"free {least:.0%}" + (f" to {most:.0%}" if f"{least:.0%}" != f"{most:.0%}" else ""))]
    entries += [(f"s{layer.colour}", layer.name) for layer in reversed(layers)]
    if not forecast.fits:
        entries.append(("alarm", "something has no place"))
    column = (WIDTH - 32) / _LEGEND_COLUMNS
    rows = -(-len(entries) // _LEGEND_COLUMNS)
    made = []
    for number, (fill, text) in enumerate(entries):
        x = 16 + (number // rows) * column
        top = y + (number % rows) * _LINE_HEIGHT
        shown = cut(text, int((column - 28) / CHARACTER))
        made.append(Entry(fill, Box.of(x, top - 10, 12, 12), Label.of(x + 18, top, shown)))
    bottom = y + rows * _LINE_HEIGHT
    note = f"Share of {whole} {dimension if dimension == 'cpu' else 'of memory'} on all hosts that answer"
    made.append(Entry("paper", Box.of(16, bottom - 10, 0, 0), Label.of(16, bottom + 2, note)))
    return made, bottom + 8


def _free(layers: Sequence[Layer]) -> tuple[float, float]:
    sums = [sum(column) for column in zip(*(layer.shares for layer in layers), strict=True)] or [0.0]
    return max(1 - max(sums), 0.0), max(1 - min(sums), 0.0)


def _with_counts(workload: WorkloadId, forecast: Forecast) -> str:
    """`shop/web 4 to 12`: the fewest and the most of the stretch."""
    counts = [one.counts.get(workload, 0) for one in forecast.instants]
    span = f"{min(counts)} to {max(counts)}" if min(counts) != max(counts) else str(counts[0])
    return f"{workload} {span}"


def _description(layers: Sequence[Layer], forecast: Forecast) -> str:
    edges = ", ".join(
        f"{one.at.astimezone(forecast.zone):%a %H:%M} {turn.before} to {turn.after}"
        for one in forecast.edges[:20]
        for turn in one.turns
    )
    named = ", ".join(layer.name for layer in reversed(layers))
    return f"Stacked shares of the fleet over time: {named}." + (f" Edges: {edges}." if edges else "")


def _amount(resources: Resources, dimension: str) -> int:
    return next((amount for name, amount in resources.items() if name == dimension), 0)
