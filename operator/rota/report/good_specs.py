"""The specs that were good last, in full but for their secrets, as rows of the ledger's file and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rota.core.ledger import GoodSpec
from rota.core.redact import is_secret


def good_row(good: GoodSpec) -> dict[str, Any]:
    """A spec with everything that a container is made from; of secret variables the names only."""
    import cattrs  # noqa: PLC0415 - commands that only read do without, mostly

    environment = good.container.environment
    secret = {name for name, value in environment.items() if is_secret(name, value)}
    told = {name: value for name, value in environment.items() if name not in secret}
    shown = replace(
        good,
        container=replace(good.container, environment=told),
        withheld=tuple(sorted(secret | set(good.withheld))),
    )
    row: dict[str, Any] = cattrs.unstructure(shown)
    return row


def read_good(row: Any) -> GoodSpec:
    """The spec that `good_row` wrote. Raises ValueError where it did not."""
    import cattrs  # noqa: PLC0415

    try:
        return cattrs.structure(row, GoodSpec)
    except Exception as error:
        raise ValueError("a spec that was good cannot be read") from error
