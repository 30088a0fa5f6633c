"""Events for people: the lines of `events.jsonl` read back, and each as one line of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rota.report.journal import read_row
from rota.report.text import one_line

Row = Mapping[str, Any]


def read_events(content: bytes) -> list[dict[str, Any]]:
    """The events of `events.jsonl`, oldest first. A line that is none, as from a newer Rota, is left out."""
    rows = (read_row(line) for line in content.decode(errors="replace").splitlines())
    return [row for row in rows if row is not None]


def event_line(row: Row) -> str:
    """`2026-06-01T10:00:04Z  Started  Service shop/web/3 on h1: … (cause), 3 times since …`, nothing cut."""
    where = str(row["object"])
    if row.get("slot") is not None:
        where += f"/{row['slot']}"
    if row.get("host") and where != f"Host {row['host']}":
        where += f" on {row['host']}"
    said = f"{where}: {row['message']}" if row.get("message") else where
    if row.get("cause"):
        said += f" ({row['cause']})"
    count = row.get("count", 1)
    if count != 1:
        said += f", {count} times"
        said += f" since {row['at']}" if row.get("last") else ""
    return one_line(f"{row.get('last', row['at'])}  {_reason(row)}  {said}")


def _reason(row: Row) -> str:
    """The word for it; what an older Rota wrote has none."""
    return str(row.get("reason") or "-".join(str(row[key]) for key in ("event", "result") if row.get(key)))
