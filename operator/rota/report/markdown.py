"""Plans and forecasts for a pull request: the sum first, then what changes, details folded away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rota.core.forecast.days import Day
from rota.core.forecast.instant import Forecast, Instant
from rota.core.placement.refusals import refusal_lines
from rota.report import forecast_words as words
from rota.report.clock_words import local
from rota.report.forecast import Told, folded
from rota.report.plan import Plan, render_text, verdict
from rota.report.readme import escape
from rota.report.survival_words import but, loss_lines
from rota.report.text import one_line

_COLUMNS = ("Time", "What", "Instances", "To do", "Fits", "Survives", "Could be off")


def plan_markdown(plan: Plan) -> str:
    """`rota plan --format markdown`: its sum, what is wrong, and the whole plan in a fold."""
    header, *lines = render_text(plan).splitlines()
    alarms = [line for line in lines if line.startswith("! ")]
    coming = [line for line in lines if line.startswith(("Edges in the next", "Survives the loss"))]
    parts = [f"**{escape(verdict(plan))}**", escape(header)]
    parts += [_list(line.removeprefix("! ") for line in alarms)] if alarms else []
    parts += [_list(coming)] if coming else []
    parts += [_fold("The whole plan", _block(lines))]
    return "\n\n".join(parts) + "\n"


def forecast_markdown(forecast: Forecast, observed: str, warnings: Sequence[str] = ()) -> str:
    """`rota plan --day DATE --format markdown`: the sum, and a table for each day that is like no other."""
    parts = [f"**Forecast {escape(words.summary(forecast))}**", f"Observed: {escape(observed)}"]
    notes = [line.removeprefix("! ") for line in (*(f"! {one}" for one in warnings), *words.legend(forecast))]
    parts += [_list(notes)] if notes else []
    if forecast.instants[0].held:
        parts.append(escape(forecast.instants[0].held))
    if forecast.cost:
        costs = f"{words.money(forecast.cost)} for all hosts, {words.money(forecast.cost_in_use)} for those"
        parts.append(f"Cost: {costs} that run something")
    for group in folded(forecast):
        first = group[0]
        if first.same_as is None:
            parts += _day(first, forecast)
        else:
            to = f" to {group[-1].heading}" if len(group) > 1 else ""
            parts.append(f"### {escape(first.heading)}{to}\n\nAs {first.same_as.heading}.")
    return "\n\n".join(parts) + "\n"


def _day(told: Told, forecast: Forecast) -> Iterator[str]:
    yield f"### {escape(told.heading)}"
    shown = _shown(told.day)
    rows = [_row(one, told.day, forecast) for one in shown]
    used = [at for at in range(len(_COLUMNS)) if any(row[at] for row in rows)]
    header = [_COLUMNS[at] for at in used]
    lines = [f"| {' | '.join(row[at] for at in used)} |" for row in rows]
    yield "\n".join([f"| {' | '.join(header)} |", f"|{'|'.join(' --- ' for _ in used)}|", *lines])
    pairs = zip(shown, (None, *shown), strict=False)
    details = [
        line for one, before in pairs for line in _details(one, before, _time(one, told.day, forecast))
    ]
    if details:
        yield _fold(f"What is short on {told.day.date:%a %Y-%m-%d}", _block(details))


def _shown(day: Day) -> tuple[Instant, ...]:
    starts = any(one.at == day.start for one in day.instants)
    return day.instants if starts else (day.opening, *day.instants)


def _time(one: Instant, day: Day, forecast: Forecast) -> str:
    """The start of the day stands for what began before it."""
    return local(max(one.at, day.start), forecast, dated=False)


def _row(one: Instant, day: Day, forecast: Forecast) -> tuple[str, ...]:
    opens = one is day.opening and one not in day.instants
    counts = words.counts_at(one, words.moving(forecast), forecast)
    counts = counts if opens else words.counts_changed(one, forecast)
    lacks = "; ".join(escape(words.lacking(lack)) for lack in one.lacks)
    fits = f"**no**: {lacks}" if lacks else "yes"
    survives = {True: "yes", False: "no", None: ""}[one.survives]
    if one.survives and one.headroom is not None:
        survives += but(one.headroom, unplaced=bool(one.lacks))
    off = [words.host_names(one.spare)] if one.spare else []
    kept = words.needed(one, forecast)
    return (
        _time(one, day, forecast),
        escape(words.holding(one, forecast) if opens else words.what(one, forecast)),
        escape(counts),
        "" if opens else escape(words.done(one.changed, one.after_room)),
        fits,
        escape(survives),
        escape("; ".join([*off, f"not {kept}"] if kept else off)),
    )


def _details(one: Instant, before: Instant | None, when: str) -> Iterator[str]:
    """What is short, where that is not as it was `before`."""
    for lack in one.lacks if before is None or one.lacks != before.lacks else ():
        yield f"{when} {words.no_place(lack)}"
        yield from (f"    {line}" for line in refusal_lines(lack.refusals) if lack.in_words())
    yield from (f"{when} {words.quota_in_words(use)}" for use in one.quotas)
    known = before.headroom.by_loss if before is not None and before.headroom is not None else frozenset()
    if one.headroom is not None and one.headroom.by_loss != known:
        yield from (f"{when} {line}" for line in loss_lines(one.headroom))


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {escape(line.strip())}" for line in lines)


def _fold(title: str, content: str) -> str:
    return f"<details><summary>{escape(title)}</summary>\n\n{content}\n\n</details>"


def _block(lines: Sequence[str]) -> str:
    """Lines as they are, in a fence that none of them can close."""
    longest = max(
        (sum(1 for _ in run) for line in lines for tick, run in groupby(line) if tick == "`"), default=0
    )
    fence = "`" * max(longest + 1, 3)
    return "\n".join([f"{fence}text", *(one_line(line) for line in lines), fence])
