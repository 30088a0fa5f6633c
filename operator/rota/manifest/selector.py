"""Selectors: conditions on labels, in the one shape that hosts and workloads are selected by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rota.core.rules import Operator, Requirement
from rota.manifest.problem import Pointer
from rota.manifest.reader import Reader


def selector(reader: Reader, pointer: Pointer, stated: Mapping[str, Any]) -> tuple[Requirement, ...]:
    """The conditions of the mapping at `pointer`; none of them selects everything."""
    equal = tuple(
        Requirement(key=key, operator=Operator.IN, values=(value,))
        for key, value in stated.get("matchLabels", {}).items()
    )
    expressions = tuple(
        _requirement(reader, (*pointer, "matchExpressions", index), expression)
        for index, expression in enumerate(stated.get("matchExpressions", ()))
    )
    return equal + expressions


def _requirement(reader: Reader, pointer: Pointer, stated: Mapping[str, Any]) -> Requirement:
    operator = Operator(stated["operator"])
    values: tuple[str, ...] = tuple(stated.get("values", ()))
    if bool(values) != (operator in (Operator.IN, Operator.NOT_IN)):
        reader.report(pointer, f"{operator} takes no values" if values else f"{operator} needs values")
    return Requirement(key=stated["key"], operator=operator, values=values)
