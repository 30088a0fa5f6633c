"""The ledger as a file under `state/`, and back. Version 1; a newer version freezes this daemon."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from rota.core.ids import WorkloadId
from rota.core.ledger import (
    Applied,
    EdgeRecord,
    FailedSpec,
    HostRecord,
    Ledger,
    Move,
    PinKey,
    Reservation,
    Rollout,
)
from rota.core.quantities import format_time
from rota.errors import Stalled
from rota.report.good_specs import good_row, read_good
from rota.report.text import what_is_wrong

VERSION = 1


def ledger_document(ledger: Ledger) -> dict[str, Any]:
    """What of the ledger outlives the daemon: failures, targets, and instants of its own clock do not."""
    applied = ledger.applied
    return {
        "version": VERSION,
        "fleet": ledger.fleet,
        "hosts": {
            name: {
                "endpoint": record.endpoint,
                "address": record.address,
                "tls": record.tls,
                "engineId": record.engine_id,
            }
            for name, record in ledger.hosts.items()
        },
        "pins": [{**_slot(key), "host": host} for key, host in sorted(ledger.pins.items())],
        "reservations": [
            {**_slot(key), "host": one.host} for key, one in sorted(ledger.reservations.items())
        ],
        "moves": [
            {**_slot(key), "from": one.source, "to": one.target, "cause": one.cause}
            for key, one in sorted(ledger.moves.items())
        ],
        "displaced": [_slot(key) for key in sorted(ledger.displaced)],
        "edges": [_edge(one) for one in ledger.edges],
        "images": [
            {"workload": str(workload), "spec": spec, "image": image}
            for (workload, spec), image in sorted(ledger.images.items())
        ],
        "good": {str(workload): good_row(one) for workload, one in sorted(ledger.good.items())},
        "failed": [
            {"workload": str(workload), **_failed(one)} for workload, one in sorted(ledger.failed.items())
        ],
        "canariesPassed": [
            {"workload": str(workload), "spec": one.spec}
            for workload, one in sorted(ledger.rollouts.items())
            if one.passed
        ],
        "drains": {name: format_time(since) for name, since in sorted(ledger.drains.items())},
        "startTimes": {str(workload): list(times) for workload, times in sorted(ledger.start_times.items())},
        "applied": None
        if applied is None
        else {
            "revision": applied.revision,
            "at": format_time(applied.at),
            "counts": {str(workload): count for workload, count in applied.counts.items()},
        },
    }


def _failed(one: FailedSpec) -> dict[str, Any]:
    return {
        "spec": one.spec,
        "document": one.document,
        "revision": one.revision,
        "reason": one.reason,
        "reverts": one.reverts,
        "returned": one.returned,
        "stuck": one.stuck,
    }


def _read_failed(row: Mapping[str, Any]) -> FailedSpec:
    return FailedSpec(
        spec=row["spec"],
        document=row["document"],
        revision=row["revision"],
        reason=row["reason"],
        reverts=bool(row["reverts"]),
        returned=bool(row["returned"]),
        stuck=bool(row["stuck"]),
    )


def _edge(one: EdgeRecord) -> dict[str, Any]:
    return {
        "at": format_time(one.at),
        "policy": one.policy,
        "window": one.window,
        "workload": str(one.workload),
        "wanted": one.wanted,
        "ready": one.ready,
        "begun": None if one.begun is None else format_time(one.begun),
        "offset": one.offset,
        "elastic": one.elastic,
        "afterRoom": one.after_room,
        "over": one.over,
    }


def _read_edge(row: Mapping[str, Any]) -> EdgeRecord:
    return EdgeRecord(
        at=_instant(row["at"]),
        policy=row["policy"],
        window=row["window"],
        workload=WorkloadId.parse(row["workload"]),
        wanted=int(row["wanted"]),
        ready=int(row["ready"]),
        begun=None if row["begun"] is None else _instant(row["begun"]),
        offset=None if row["offset"] is None else float(row["offset"]),
        elastic=bool(row["elastic"]),
        after_room=bool(row["afterRoom"]),
        over=bool(row["over"]),
    )


def _slot(key: PinKey) -> dict[str, Any]:
    workload, slot = key
    return {"workload": str(workload), "slot": slot}


def _read_host(row: Mapping[str, Any]) -> HostRecord:
    return HostRecord(
        endpoint=row["endpoint"], address=row["address"], tls=row["tls"], engine_id=row["engineId"]
    )


def _canaries_passed(row: Mapping[str, Any]) -> Rollout:
    """A rollout whose canaries were watched; since when it makes no progress is not known."""
    return Rollout(spec=row["spec"], best=0, since=math.inf, passed=True)


def read_ledger(content: bytes) -> Ledger:
    """The ledger that `ledger_document` wrote. Raises Stalled for a newer version or a damaged file.

    Reservations do not expire: whoever acts on them says how long they hold. Keys that an older Rota did
    not write yet may be missing.
    """
    try:
        document = json.loads(content)
        version = document["version"]
        if version > VERSION:
            raise Stalled(
                "NewerState",
                f"state/ledger.json has version {version}, and this Rota knows up to {VERSION}. "
                "A newer one wrote the status branch: upgrade this one.",
            )
        applied = document["applied"]
        return Ledger(
            fleet=document.get("fleet", ""),
            hosts={name: _read_host(row) for name, row in document["hosts"].items()},
            pins={key: row["host"] for key, row in _by_slot(document["pins"])},
            reservations={
                key: Reservation(host=row["host"], until=math.inf)
                for key, row in _by_slot(document.get("reservations", ()))
            },
            moves={
                key: Move(source=row["from"], target=row["to"], cause=row["cause"])
                for key, row in _by_slot(document.get("moves", ()))
            },
            displaced=frozenset(key for key, _ in _by_slot(document.get("displaced", ()))),
            edges=tuple(_read_edge(row) for row in document.get("edges", ())),
            images={
                (WorkloadId.parse(row["workload"]), row["spec"]): row["image"]
                for row in document.get("images", ())
            },
            good={WorkloadId.parse(name): read_good(row) for name, row in document.get("good", {}).items()},
            failed={
                WorkloadId.parse(row["workload"]): _read_failed(row) for row in document.get("failed", ())
            },
            rollouts={
                WorkloadId.parse(row["workload"]): _canaries_passed(row)
                for row in document.get("canariesPassed", ())
            },
            drains={name: _instant(since) for name, since in document.get("drains", {}).items()},
            start_times={
                WorkloadId.parse(name): tuple(float(seconds) for seconds in times)
                for name, times in document.get("startTimes", {}).items()
            },
            applied=None
            if applied is None
            else Applied(
                revision=applied["revision"],
                at=_instant(applied["at"]),
                counts={WorkloadId.parse(name): int(count) for name, count in applied["counts"].items()},
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Stalled(
            "DamagedState",
            f"state/ledger.json on the status branch cannot be read: {what_is_wrong(error)}. "
            "Restore the file from the branch's history; pins of volumes stand in it.",
        ) from error


def _by_slot(rows: Iterable[Mapping[str, Any]]) -> Iterable[tuple[PinKey, Mapping[str, Any]]]:
    found = [((WorkloadId.parse(row["workload"]), row["slot"]), row) for row in rows]
    if not all(isinstance(slot, int) for (_, slot), _ in found):
        raise TypeError
    return found


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no offset")
    return at
