"""A forecast as text for people: a line that sums it up, then a block for each edge, equal days folded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rota.core.forecast.days import Day, days_of
from rota.core.forecast.instant import Forecast, Instant
from rota.core.placement.headroom import Headroom
from rota.core.placement.refusals import refusal_lines
from rota.report import forecast_words as words
from rota.report.clock_words import local
from rota.report.survival_words import but, loss_lines, loss_of
from rota.report.text import one_line

_INDENT = " " * 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One local day in words. `blocks` have nothing in them that another day of the same course has not:
    no date and no offset."""

    day: Day
    heading: str
    blocks: tuple[tuple[str, ...], ...]
    same_as: Told | None = None


def forecast_text(forecast: Forecast, observed: str, warnings: Sequence[str] = ()) -> str:
    """The forecast for a terminal or a log. `observed` says what it starts from."""
    lines = [f"Forecast {words.summary(forecast)}", *(f"! {one}" for one in warnings)]
    lines += _start(forecast, observed)
    for group in folded(forecast):
        first, last = group[0], group[-1]
        if first.same_as is None:
            lines += [first.heading, *(line for block in first.blocks for line in block)]
        else:
            to = f" to {last.heading}" if len(group) > 1 else ""
            lines.append(f"{first.heading}{to}: as {first.same_as.day.date:%a}")
    return "".join(f"{one_line(line)}\n" for line in lines)


def folded(forecast: Forecast) -> list[list[Told]]:
    """The days in groups: one that is like none before it by itself, and runs of such as are like one."""
    groups: list[list[Told]] = []
    originals: dict[tuple[object, ...], Told] = {}
    for day in days_of(forecast):
        blocks = tuple(tuple(block) for block in _blocks(day, forecast))
        key = (blocks, day.hours)
        like = originals.get(key)
        told = Told(day=day, heading=_heading(day, forecast), blocks=blocks, same_as=like)
        originals.setdefault(key, told)
        if like is not None and groups[-1][-1].same_as is like:
            groups[-1].append(told)
        else:
            groups.append([told])
    return groups


def _start(forecast: Forecast, observed: str) -> Iterator[str]:
    """What it stands on, and what is to be done before it begins."""
    yield f"Observed: {observed}"
    yield from words.legend(forecast)
    first = forecast.instants[0]
    changes = words.done(first.changed, first.after_room)
    if changes:
        yield f"To begin with: {changes}"
    if first.held:
        yield f"! {first.held}"
    if forecast.cost:
        amounts = f"{words.money(forecast.cost)} for all hosts, {words.money(forecast.cost_in_use)} for those"
        yield f"Cost: {amounts} that run something"


def _heading(day: Day, forecast: Forecast) -> str:
    clocks = words.change_of_clocks(day)
    start = day.start.astimezone(forecast.zone)
    return f"{start:%a %Y-%m-%d}{f' ({clocks})' if clocks else ''}"


def _blocks(day: Day, forecast: Forecast) -> Iterator[list[str]]:
    """What holds when the day begins, then what happens in it."""
    starts = [one for one in day.instants if one.at == day.start]
    if not starts:
        when = local(day.start, forecast, dated=False)
        counts = words.counts_at(day.opening, words.moving(forecast), forecast)
        yield [
            _line(when, words.holding(day.opening, forecast)),
            *_rows([counts]),
            *_verdict(day.opening, forecast),
        ]
    before = None if starts else day.opening
    for one in day.instants:
        when = local(one.at, forecast, dated=False)
        in_utc = f" ({one.at:%H:%MZ})" if words.change_of_clocks(day) else ""
        changed = words.counts_changed(one, forecast)
        done = words.done(one.changed, one.after_room)
        numbers = f"{changed}   ({done})" if changed and done else changed or done
        what = f"{words.what(one, forecast)}{in_utc}"
        yield [_line(when, what), *_rows([numbers]), *_verdict(one, forecast, before)]
        before = one


def _line(when: str, what: str) -> str:
    return f"  {when:<7} {what}"


def _rows(rows: Sequence[str]) -> list[str]:
    return [f"{_INDENT}{row}" for row in rows if row]


def _verdict(one: Instant, forecast: Forecast, before: Instant | None = None) -> list[str]:
    """Whether it fits and what survives, as lines of a block. What is as `before` is told in short."""
    rows = [] if one.lacks else ["everything fits"]
    if before is not None and one.lacks and one.lacks == before.lacks:
        rows.append(f"! still no place for {', '.join(words.lacking(lack) for lack in one.lacks)}")
    else:
        rows += _no_place(one)
    rows += [f"{'! ' if use.over else ''}{words.quota_in_words(use)}" for use in one.quotas]
    if one.headroom is not None:
        rows += _survival(one, before.headroom if before is not None else None, forecast)
    kept = words.needed(one, forecast)
    rows += [f"empty: {kept}"] if kept else []
    if one.spare:
        rows.append(f"could be off: {words.host_names(one.spare)}{_saved(one, forecast)}")
    elif one.cost:
        rows.append(f"costs {words.money(one.cost)} an hour")
    return _rows(rows)


def _no_place(one: Instant) -> Iterator[str]:
    for lack in one.lacks:
        yield f"! {words.no_place(lack)}"
        yield from (f"      {line}" for line in refusal_lines(lack.refusals) if lack.in_words())


def _survival(one: Instant, before: Headroom | None, forecast: Forecast) -> Iterator[str]:
    found = one.headroom
    assert found is not None
    verdict = f"survives the loss of any one {loss_of(forecast)}"
    if not found.shortfalls and found.pinned and before is not None and before.pinned == found.pinned:
        yield f"{verdict}: yes{but(None, unplaced=bool(one.lacks))}, but for the same volumes"
    elif not found.shortfalls:
        yield f"{verdict}: yes{but(found, unplaced=bool(one.lacks))}"
    elif before is not None and before.by_loss == found.by_loss:
        yield f"{verdict}: no, as before"
    else:
        yield f"{verdict}: no"
        yield from (f"    {line}" for line in loss_lines(found))


def _saved(one: Instant, forecast: Forecast) -> str:
    """What is paid an hour, and what of it without the hosts that could be off."""
    if not one.cost:
        return ""
    without = one.cost - sum(forecast.fleet.hosts[name].cost_per_hour for name in one.spare)
    return f" (costs {words.money(one.cost)} an hour, {words.money(without)} without)"
