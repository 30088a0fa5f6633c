"""Amounts as people write them in manifests; the inverse of what the loader reads."""

from __future__ import annotations

from datetime import datetime

from rota.core.model import Resources

_UNITS = ((1 << 40, "Ti"), (1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki"))


def format_cpu(millicores: int) -> str:
    """Whole cores as `4`, the rest as `3750m`."""
    return str(millicores // 1000) if millicores % 1000 == 0 else f"{millicores}m"


def format_memory(amount: int) -> str:
    """Bytes in the largest binary unit that loses nothing: `8Gi`, `1536Mi`, `1000`."""
    for size, unit in _UNITS:
        if amount and amount % size == 0:
            return f"{amount // size}{unit}"
    return str(amount)


def format_resources(amount: Resources) -> dict[str, str]:
    return {"cpu": format_cpu(amount.cpu), "memory": format_memory(amount.memory)}


def format_time(at: datetime) -> str:
    """RFC 3339 to the second, UTC as `Z`."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
