"""Whether a loss is survived, in words: by day and by night, and what is lost at worst."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from rota.core.forecast.days import days_of
from rota.core.forecast.instant import Forecast, Instant
from rota.core.ids import WorkloadId
from rota.core.placement.headroom import Headroom, Pinned
from rota.core.placement.refusals import in_words
from rota.core.windows import BASE
from rota.report.clock_words import local_list

_MOST = 3
"""So many things of a kind stand in a line that sums up; the rest is counted."""


def loss_of(forecast: Forecast) -> str:
    """`host` or `zone`: what is lost where a loss is played through."""
    found = next((str(one.headroom.loss) for one in forecast.instants if one.headroom is not None), "hosts")
    return found.removesuffix("s")


def survival(forecast: Forecast) -> str | None:
    """`yes by day, no by night (worker 14 -> 10)`; None where nobody asked."""
    judged = [one for one in forecast.instants if one.survives is not None]
    if not judged:
        return None
    lasting = [one for one in judged if one.turns or not one.leads]
    failing = [one for one in lasting if not one.survives]
    extent = _extent(judged)
    if not failing:
        leads = [one for one in judged if not one.survives]
        if leads:
            return f"yes, but not while a lead lasts ({_losses(leads)}){extent}"
        found = next((one.headroom for one in judged if one.headroom and one.headroom.pinned), None)
        return f"yes{but(found, unplaced=any(one.lacks for one in judged))}{extent}"
    losses = _losses(failing)
    if len(failing) == len(lasting):
        return f"no ({losses}){extent}"
    return f"{_by_window(lasting) or _by_time(failing, forecast)} ({losses}){extent}"


def but(found: Headroom | None, *, unplaced: bool) -> str:
    """What a yes leaves out: `, but mysql/0 stays down with h1: its volume is there`; and what has no place
    whatever is lost. Empty where it leaves out nothing."""
    parts = [", beyond what has no place anyway"] if unplaced else []
    if found is not None and found.pinned:
        one = len(found.pinned) == 1 and found.pinned[0].count == 1
        why = "its volume is there" if one else "their volumes are there"
        parts.append(f", but {_stays_down(found.pinned)}: {why}")
    return "".join(parts)


def _stays_down(pinned: Sequence[Pinned]) -> str:
    """`mysql/0 stays down with h1`; `mysql/0 and db/0 stay down with h1, mysql/1 with h2`."""
    by_loss: dict[str, list[Pinned]] = defaultdict(list)
    for one in pinned:
        by_loss[one.lost].append(one)
    told: list[str] = []
    for lost, ones in by_loss.items():
        named = [name for one in ones for name in _names(one)]
        more = f" and {len(named) - _MOST} more" if len(named) > _MOST else ""
        verb = "" if told else " stays down" if sum(one.count for one in ones) == 1 else " stay down"
        told.append(f"{', '.join(named[:_MOST])}{more}{verb} with {lost}")
    rest = f", and others with {len(told) - _MOST} more" if len(told) > _MOST else ""
    return f"{', '.join(told[:_MOST])}{rest}"


def _names(one: Pinned) -> list[str]:
    """By slot, else by workload and number."""
    if not one.slots:
        return [one.workload.name if one.count == 1 else f"{one.count} of {one.workload.name}"]
    return [f"{one.workload.name}/{slot}" for slot in one.slots]


def loss_lines(found: Headroom) -> list[str]:
    """A line for each thing that would have no place; what the same hosts say of all of it once."""
    shorts = found.shortfalls
    if len(shorts) < 2:
        return [str(one) for one in shorts]
    same = tuple(why for why in shorts[0].refusals if all(why in one.refusals for one in shorts))
    if not same or any(set(one.refusals) <= set(same) for one in shorts):
        return [str(one) for one in shorts]
    lines = [one.in_words(same) for one in shorts]
    return [*lines, f"each time: {in_words(same)}"]


def _extent(judged: Iterable[Instant]) -> str:
    """How much of it was played through, where that is not all."""
    partly = [
        (one.headroom.checked, one.headroom.losses)
        for one in judged
        if one.headroom is not None and one.headroom.checked < one.headroom.losses
    ]
    if not partly:
        return ""
    checked, losses = min(partly)
    return f" (checked {checked} of {losses}, the fullest first)"


def _by_window(judged: Sequence[Instant]) -> str:
    """By the windows of the only policy; empty where there are more, or a window has both answers."""
    if any(len(one.windows) != 1 for one in judged):
        return ""
    verdicts: dict[str, set[bool]] = defaultdict(set)
    for one in judged:
        verdicts[one.windows[0][1]].add(bool(one.survives))
    if any(len(answers) > 1 for answers in verdicts.values()):
        return ""
    said = []
    for answer, word in ((True, "yes"), (False, "no")):
        names = [_when(name, verdicts) for name, answers in verdicts.items() if answers == {answer}]
        said.append(f"{word} {' and '.join(names)}")
    return ", ".join(said)


def _when(window: str, all_windows: Iterable[str]) -> str:
    """`by day`, `by night`, `in window NAME`. What is not the day is the night."""
    others = set(all_windows) - {window}
    if window == BASE and others in ({"day"}, {"night"}):
        return "by night" if others == {"day"} else "by day"
    return f"by {window}" if window in ("day", "night") else f"in {window}"


def _by_time(failing: Sequence[Instant], forecast: Forecast) -> str:
    several = len(list(days_of(forecast))) > 1
    return f"no {local_list(failing, forecast, several)}, else yes"


def _losses(failing: Sequence[Instant]) -> str:
    """`worker 14 -> 10`: of how many instances how many would be left with a place, in the worst case. What
    no single loss brings at once is not added up as if one did."""
    worst: dict[WorkloadId, tuple[int, int]] = {}
    when: dict[WorkloadId, set[tuple[int, str]]] = defaultdict(set)
    for number, one in enumerate(failing):
        for lost, workload, missing in sorted(one.headroom.by_loss) if one.headroom is not None else ():
            count = one.counts.get(workload, missing)
            before = worst.get(workload)
            if before is None or missing > before[0] - before[1]:
                worst[workload] = (count, count - missing)
                when[workload] = set()
            if missing == worst[workload][0] - worst[workload][1]:
                when[workload].add((number, lost))
    at_once = bool(when and set.intersection(*when.values()))
    hosts = [{lost for _, lost in found} for found in when.values()]
    alike = bool(hosts and set.intersection(*hosts))
    told = []
    for workload, (had, left) in sorted(worst.items()):
        without = "" if at_once or alike else f" without {min(when[workload])[1]}"
        told.append(f"{workload.name} {had} -> {left}{without}")
    more = f" and {len(told) - _MOST} more" if len(told) > _MOST else ""
    return f"{'' if at_once else 'each at its worst: '}{', '.join(told[:_MOST])}{more}"
