"""A forecast for programs: `rota plan --day DATE --format json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rota.core.forecast.days import days_of
from rota.core.forecast.instant import Forecast, Instant
from rota.core.forecast.lacks import Lack
from rota.core.planning.actions import ChangeKind
from rota.core.quantities import format_amount, format_resources, format_time
from rota.report.documents import API_VERSION, reasons_document, survives_document
from rota.report.forecast_words import summary


def forecast_document(
    forecast: Forecast, head: str, observed: str, warnings: Sequence[str] = ()
) -> dict[str, Any]:
    """The whole forecast. Instants are in UTC, `local` in the zone that the days are told in."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Forecast",
        "head": head,
        "observed": observed,
        "start": format_time(forecast.start),
        "end": format_time(forecast.end),
        "timeZone": forecast.zone.key,
        "complete": forecast.complete,
        "days": [
            {"date": day.date.isoformat(), "hours": day.hours, "whole": day.whole}
            for day in days_of(forecast)
        ],
        "summary": summary(forecast),
        "fits": forecast.fits,
        "capacity": format_resources(forecast.capacity),
        "cost": {"all": forecast.cost, "inUse": forecast.cost_in_use},
        "warnings": list(warnings),
        "instants": [_instant(one, forecast) for one in forecast.instants],
    }


def _instant(one: Instant, forecast: Forecast) -> dict[str, Any]:
    return {
        "at": format_time(one.at),
        "local": format_time(one.at.astimezone(forecast.zone)),
        "edges": [{"policy": turn.policy, "from": turn.before, "to": turn.after} for turn in one.turns],
        "overrides": [
            {"override": turn.override, "change": "begins" if turn.begins else "ends"}
            for turn in one.overrides
        ],
        "leads": [
            {
                "at": format_time(lead.at),
                "begins": format_time(lead.begun),
                "last": format_time(lead.last),
                "policy": lead.policy,
                "window": lead.window,
            }
            for lead in one.leads
        ],
        "windows": [{"policy": policy, "window": window} for policy, window in one.windows],
        "workloads": [
            {
                "workload": str(workload),
                "wanted": one.wanted.get(workload, 0),
                "from": one.before.get(workload, 0),
                "to": count,
                "afterRoom": one.after_room.get(workload, 0),
            }
            for workload, count in one.counts.items()
        ],
        "changes": {str(kind): one.changed.get(kind, 0) for kind in ChangeKind},
        "unplaced": [lack_document(lack) for lack in one.lacks],
        "quotas": [
            {
                "quota": use.quota,
                "dimension": use.dimension,
                "wanted": format_amount(use.dimension, use.wanted),
                "hard": format_amount(use.dimension, use.hard),
                "over": use.over > 0,
            }
            for use in one.quotas
        ],
        "survives": survives_document(one.headroom),
        "empty": list(one.empty),
        "couldBeOff": list(one.spare),
        "costPerHour": {"all": one.cost, "inUse": one.cost_in_use},
        "held": one.held,
    }


def lack_document(lack: Lack) -> dict[str, Any]:
    """What has no place, the reasons, and how much room is short: on the best host and in sum."""
    return {
        "workload": str(lack.workload),
        "count": lack.count,
        "wanted": lack.wanted,
        "reasons": reasons_document(lack.refusals),
        "nearest": lack.nearest,
        "shortOnNearest": _amounts(lack.best),
        "shortInSum": _amounts(lack.total),
    }


def _amounts(short: Mapping[str, int]) -> dict[str, str]:
    return {name: format_amount(name, amount) for name, amount in short.items()}
