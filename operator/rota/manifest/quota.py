"""Quota documents: limits on what the requests of some workloads may reach together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rota.core.model import INSTANCES, Quota
from rota.manifest.reader import Reader
from rota.manifest.selector import selector


def quota(reader: Reader) -> Quota:
    """The Quota of a document; what is wrong with it is left in the reader."""
    hard = _limits(reader, reader.spec["hard"])
    reader.labels()
    if not hard:
        reader.report(("spec", "hard"), "must not be empty")
    return Quota(
        namespace=reader.namespace,
        name=reader.name,
        hard=hard,
        selector=selector(reader, ("spec", "selector"), reader.spec.get("selector", {})),
        source=reader.source(),
    )


def _limits(reader: Reader, stated: Mapping[str, Any]) -> dict[str, int]:
    """Limits by dimension. A limit of 0 is a limit, so none is left out."""
    amounts = reader.amounts(("spec", "hard"), stated, positive=False)
    named = {"cpu": amounts.cpu, "memory": amounts.memory, INSTANCES: stated.get(INSTANCES)}
    limits = {key: limit for key, limit in named.items() if limit is not None}
    return {**limits, **amounts.extended}
