"""What a forecast says, in the words that its text, its Markdown and a plan share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from rota.core.forecast.days import Day, days_of
from rota.core.forecast.instant import Forecast, Instant, LeadBegin, OverrideTurn, QuotaUse
from rota.core.forecast.lacks import Lack
from rota.core.ids import WorkloadId
from rota.core.placement.refusals import in_words
from rota.core.planning.actions import ChangeKind
from rota.core.quantities import format_amount
from rota.core.windows import BASE
from rota.report.clock_words import local, local_list
from rota.report.survival_words import loss_of, survival

_HOUR = timedelta(hours=1)
_MOST = 3
"""So many things of a kind stand in a line that sums up; the rest is counted."""
_MOST_HOSTS = 8
_DONE = {
    ChangeKind.START: "to start",
    ChangeKind.REPLACE: "to replace",
    ChangeKind.MOVE: "to move",
    ChangeKind.STOP: "to stop",
}


def summary(forecast: Forecast) -> str:
    """`Mon 2026-06-01 (Europe/Berlin), 24 h, 2 edges: everything fits; survives …`: what comes first."""
    return f"{extent(forecast)}: {findings(forecast)}"


def extent(forecast: Forecast) -> str:
    """`Mon 2026-06-01 (Europe/Berlin), 24 h, 2 edges`, and before it how far it reaches if not to its end."""
    edges = counted(len(forecast.edges), "edge")
    reach = "" if forecast.complete else f"NOT COMPLETE, as far as {local(forecast.end, forecast)}: "
    return f"{reach}{_dates(forecast)} ({forecast.zone.key}), {_length(forecast)}, {edges}"


def findings(forecast: Forecast) -> str:
    """`everything fits; survives the loss of any one host: yes`."""
    parts = [_fits(forecast), *_quotas_in_sum(forecast)]
    survives = survival(forecast)
    if survives is not None:
        parts.append(f"survives the loss of any one {loss_of(forecast)}: {survives}")
    return "; ".join(parts)


def counted(number: int, noun: str) -> str:
    """`1 edge`, `2 edges`."""
    return f"{number} {noun}{'s'[: number != 1]}"


def legend(forecast: Forecast) -> list[str]:
    """What is to be known once to read a forecast: how far it reaches, and what a loss is taken to be."""
    lines = []
    if not forecast.complete:
        end = local(forecast.end, forecast)
        lines.append(
            f"! NOT COMPLETE: as far as {end}, for there are too many edges and leads. Ask for fewer days, "
            "or have windows open less often."
        )
    if any(one.survives is False for one in forecast.instants):
        lines.append("A loss is taken over without moving or stopping others")
    return lines


def _dates(forecast: Forecast) -> str:
    first = forecast.start.astimezone(forecast.zone)
    days = list(days_of(forecast))
    if not days[0].whole:
        return f"from {local(forecast.start, forecast)}"
    last = days[-1].date
    return f"{first:%a %Y-%m-%d}" + (f" to {last:%a %Y-%m-%d}" if len(days) > 1 else "")


def _length(forecast: Forecast) -> str:
    days = list(days_of(forecast))
    if len(days) > 1 and days[0].whole:
        return f"{len(days)} days"
    return f"{round((forecast.end - forecast.start) / _HOUR, 1):g} h"


def change_of_clocks(day: Day) -> str:
    """`25 h, the clocks go back`; empty on a day like any other."""
    if not day.whole or day.hours == 24:
        return ""
    return f"{day.hours:g} h, the clocks go {'forward' if day.hours < 24 else 'back'}"


# --- what fits


def _fits(forecast: Forecast) -> str:
    """The first thing that has no place, and how much more there is of it."""
    short = [one for one in forecast.instants if one.lacks]
    if not short:
        return "everything fits"
    first = short[0]
    lacks = {lack.workload for one in short for lack in one.lacks}
    others = f" and {counted(len(lacks) - 1, 'other workload')}" if len(lacks) > 1 else ""
    several = len(list(days_of(forecast))) > 1
    when = "all the time" if len(short) == len(forecast.instants) else local_list(short, forecast, several)
    lack = first.lacks[0]
    what_of = f" ({lack.shortest()})" if lack.best else ""
    return f"no place for {lacking(lack)}{what_of}{others}, {when}"


def lacking(lack: Lack) -> str:
    """`2 of 6 instances of shop/etl`."""
    return f"{lack.count} of {counted(lack.wanted, 'instance')} of {lack.workload}"


def no_place(lack: Lack) -> str:
    """`Service shop/etl: 2 of 6 instances have no place: memory short by 4Gi on the best host, h2`."""
    have = "has" if lack.count == 1 else "have"
    of = f"{lack.count} of {counted(lack.wanted, 'instance')}"
    return f"Service {lack.workload}: {of} {have} no place: {why_lacking(lack)}"


def why_lacking(lack: Lack) -> str:
    """The shortage, or what the hosts say where it is not room that they lack."""
    return lack.in_words() or in_words(lack.refusals)


def _quotas_in_sum(forecast: Forecast) -> list[str]:
    over = sorted({one.quota for each in forecast.instants for one in each.quotas if one.over})
    return [f"more than quota {', '.join(over)} allows"] if over else []


def quota_in_words(use: QuotaUse) -> str:
    """`quota shop/all: cpu 5 of 4 wanted (1 over)`."""
    wanted, hard, over = (format_amount(use.dimension, amount) for amount in (use.wanted, use.hard, use.over))
    extent = f"{over} over" if use.over else "all of it"
    return f"quota {use.quota}: {use.dimension} {wanted} of {hard} wanted ({extent})"


# --- one instant


def what(instant: Instant, forecast: Forecast) -> str:
    """`base -> day`; `Override bf begins`; `lead of day at 07:00 begins`; what holds, where it is neither."""
    several, names = len(instant.windows) > 1, policy_names(forecast)
    parts = [
        f"{f'{names[turn.policy]} ' if several else ''}{turn.before} -> {turn.after}"
        for turn in instant.turns
    ]
    parts += [override_in_words(one, forecast) for one in instant.overrides]
    edges = sorted({lead.at for lead in instant.leads})
    for edge in edges:
        leads = [lead for lead in instant.leads if lead.at == edge]
        growing = [lead for lead in leads if not lead.roomless]
        parts += [_leads(growing, instant, forecast)] if growing else []
        waiting = [each for lead in leads for each in lead.roomless]
        if waiting:
            told = ", ".join(f"{count} of {workload.name}" for workload, count in waiting)
            follow = "follows" if sum(count for _, count in waiting) == 1 else "follow"
            parts.append(
                f"no room before the edge at {local(edge, forecast, dated=False)}: {told} {follow} it"
            )
    return ", ".join(parts) or holding(instant, forecast)


def _leads(leads: Sequence[LeadBegin], instant: Instant, forecast: Forecast) -> str:
    """`lead of day at 07:00 begins`; `leads of m (23:40) and n (23:55) at 00:30 begin`, each when its first
    growth does; `lead of day at 07:00 has begun at 06:50` where that is before the instant."""
    edge = local(leads[0].at, forecast, dated=False)
    begins = [local(lead.begun, forecast, dated=False) for lead in leads]
    if all(lead.begun < instant.at for lead in leads):
        timed, verb = len(leads) > 1, "has begun" if len(leads) == 1 else "have begun"
    else:
        timed, verb = len(set(begins)) > 1, "begins" if len(leads) == 1 else "begin"
    named = [
        f"{_ruler(lead, forecast)}{f' ({begun})' if timed else ''}"
        for lead, begun in zip(leads, begins, strict=True)
    ]
    since = f" at {begins[0]}" if verb == "has begun" else ""
    whose = " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
    last = max(local(lead.last, forecast, dated=False) for lead in leads)
    until = f", the last of it at {last}" if len(leads) == 1 and last != begins[0] else ""
    return f"lead{'s'[: len(leads) != 1]} of {whose} at {edge} {verb}{since}{until}"


def _ruler(lead: LeadBegin, forecast: Forecast) -> str:
    """The window, with its policy where another policy has one of that name; or the Override."""
    if not lead.policy:
        overrides = shortest([str(one) for one in forecast.fleet.overrides])
        return f"override {overrides.get(name := lead.window.removeprefix('override '), name)}"
    policies = [one for one in forecast.fleet.policies if any(w.name == lead.window for w in one.windows)]
    if len(policies) < 2 and lead.window != BASE:
        return lead.window
    if lead.window == BASE and len(forecast.fleet.policies) < 2:
        return lead.window
    return f"{policy_names(forecast)[lead.policy]}/{lead.window}"


def override_in_words(turn: OverrideTurn, forecast: Forecast) -> str:
    """`Override bf begins`, with its namespace where another has one of that name."""
    name = shortest([str(one) for one in forecast.fleet.overrides])[turn.override]
    return f"Override {name} {'begins' if turn.begins else 'ends'}"


def holding(instant: Instant, forecast: Forecast) -> str:
    """The windows in force: `day`, or `hours/day, office/base`."""
    if len(instant.windows) == 1:
        return instant.windows[0][1]
    if not instant.windows:
        return "no policy"
    names = policy_names(forecast)
    return ", ".join(f"{names[policy]}/{window}" for policy, window in instant.windows)


def policy_names(forecast: Forecast) -> Mapping[str, str]:
    """What a policy (`namespace/name`) is called: by its name, where no other namespace has one like it."""
    return shortest([str(one) for one in forecast.fleet.policies])


def _workload_names(forecast: Forecast) -> Mapping[str, str]:
    """The same for workloads."""
    return shortest([str(one) for one in forecast.fleet.services])


def shortest(names: Sequence[str]) -> dict[str, str]:
    """Each `namespace/name` by its name alone, in full where two are alike."""
    short = {name: name.rpartition("/")[2] for name in names}
    often = Counter(short.values())
    return {name: name if often[one] > 1 else one for name, one in short.items()}


def moving(forecast: Forecast) -> tuple[WorkloadId, ...]:
    """The workloads whose number changes after the start."""
    found = {
        workload
        for one in forecast.instants[1:]
        for workload, count in one.counts.items()
        if one.before.get(workload) != count
    }
    return tuple(sorted(found))


def counts_at(instant: Instant, workloads: Iterable[WorkloadId], forecast: Forecast) -> str:
    """`web 4, worker 14`: those named, and how many instances the others have."""
    named, names = list(workloads), _workload_names(forecast)
    told = [f"{names[str(workload)]} {instant.counts[workload]}" for workload in named]
    rest = {workload: count for workload, count in instant.counts.items() if workload not in set(named)}
    if rest:
        others = f"{counted(len(rest), 'other workload' if named else 'workload')}"
        told.append(f"{counted(sum(rest.values()), 'instance')} of {others}")
    return ", ".join(told)


def counts_changed(instant: Instant, forecast: Forecast) -> str:
    """`web 4 -> 12, worker 14 -> 2`."""
    names = _workload_names(forecast)
    return ", ".join(
        f"{names[str(workload)]} {instant.before.get(workload, 0)} -> {count}"
        for workload, count in instant.counts.items()
        if instant.before.get(workload, 0) != count
    )


def done(changed: Mapping[ChangeKind, int], after_room: Mapping[WorkloadId, int]) -> str:
    """`8 to start (6 of them once others have stopped), 12 to stop`."""
    later = sum(after_room.values())
    parts = []
    for kind, verb in _DONE.items():
        if changed.get(kind):
            number, waits = changed[kind], ""
            if kind is ChangeKind.START and later:
                of_them = f" ({later} of them" if later < number else ""
                waits = f"{of_them} once others have stopped{')' if of_them else ''}"
            parts.append(f"{number} {verb}{waits}")
    return ", ".join(parts)


def needed(instant: Instant, forecast: Forecast) -> str:
    """`h3 (kept for the loss of a host)`: the hosts that run nothing and could not be off."""
    names = [name for name in instant.empty if name not in instant.spare]
    loss = loss_of(forecast)
    why = f"kept for the loss of a {loss}" if forecast.fleet.survive else f"the loss of a {loss} needs it"
    return f"{host_names(names)} ({why})" if names else ""


def host_names(names: Sequence[str]) -> str:
    """Hosts by name where they are few."""
    if len(names) > _MOST_HOSTS:
        return f"{', '.join(names[:_MOST])} and {len(names) - _MOST} more"
    return ", ".join(names)


def money(amount: float) -> str:
    """In whatever the manifests count: two decimals, more where it is less than one of them."""
    return f"{amount:.2f}" if amount >= 0.1 or not amount else f"{amount:.4g}"
