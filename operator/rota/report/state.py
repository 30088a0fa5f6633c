"""The ledger as a file under `state/`, and back. Version 1; a newer version freezes this daemon."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from rota.core.ledger import Applied, HostRecord, Ledger
from rota.core.model import WorkloadId
from rota.core.quantities import format_time
from rota.errors import Stalled
from rota.report.text import what_is_wrong

VERSION = 1


def ledger_document(ledger: Ledger) -> dict[str, Any]:
    """What of the ledger outlives the daemon; failures and targets do not."""
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
        "pins": [
            {"workload": str(workload), "slot": slot, "host": host}
            for (workload, slot), host in sorted(ledger.pins.items())
        ],
        "applied": None
        if applied is None
        else {
            "revision": applied.revision,
            "at": format_time(applied.at),
            "counts": {str(workload): count for workload, count in applied.counts.items()},
        },
    }


def read_ledger(content: bytes) -> Ledger:
    """The ledger that `ledger_document` wrote. Raises Stalled for a newer version or a damaged file."""
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
            hosts={
                name: HostRecord(
                    endpoint=row["endpoint"],
                    address=row["address"],
                    tls=row["tls"],
                    engine_id=row["engineId"],
                )
                for name, row in document["hosts"].items()
            },
            pins={(WorkloadId.parse(row["workload"]), row["slot"]): row["host"] for row in document["pins"]},
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


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no offset")
    return at
