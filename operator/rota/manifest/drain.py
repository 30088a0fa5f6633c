"""`drain`, of a Host and of an Override alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rota.core.model import Drain
from rota.manifest.problem import Pointer
from rota.manifest.quantity import seconds
from rota.manifest.reader import Reader


def drain(reader: Reader) -> Drain | None:
    """The drain of `spec.drain`; None where there is none."""
    stated: Mapping[str, Any] | None = reader.spec.get("drain")
    if stated is None:
        return None
    deadline = seconds(stated["deadline"]) if "deadline" in stated else None
    if deadline == 0:
        here: Pointer = ("spec", "drain", "deadline")
        reader.report(here, "must be more than 0", "Leave it out, and nothing is ever forced.")
    return Drain(deadline=deadline)
