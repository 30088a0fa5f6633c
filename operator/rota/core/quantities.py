"""Amounts as people write them in manifests; the inverse of what the loader reads."""

from __future__ import annotations

from datetime import datetime

from rota.core.resources import Resources

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
    """Every dimension by name; extended resources as plain numbers."""
    return {name: format_amount(name, quantity) for name, quantity in amount.items()}


def format_amount(dimension: str, quantity: int) -> str:
    """An amount of one dimension: cpu, memory, or a plain number of anything else."""
    match dimension:
        case "cpu":
            return format_cpu(quantity)
        case "memory":
            return format_memory(quantity)
        case _:
            return str(quantity)


def format_shortage(dimension: str, quantity: int) -> str:
    """What is missing, as a person would ask for it: millicores, and memory rounded up to whole Mi."""
    if dimension == "cpu":
        return f"{quantity}m"
    if dimension == "memory":
        return f"{quantity >> 30}Gi" if quantity % (1 << 30) == 0 else f"{-(-quantity // (1 << 20))}Mi"
    return str(quantity)


def format_time(at: datetime) -> str:
    """RFC 3339 to the second, UTC as `Z`."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
