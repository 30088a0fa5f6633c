"""Amounts of what hosts have and workloads ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """An amount of a host, or of a request: cpu in millicores, memory in bytes.

    `extended` are resources that hosts declare and requests name (`gpu`), in whole units, by name,
    sorted, without zeros.
    """

    cpu: int = 0
    memory: int = 0
    extended: tuple[tuple[str, int], ...] = ()

    def __add__(self, other: Resources) -> Resources:
        return self._with(other, 1)

    def __sub__(self, other: Resources) -> Resources:
        return self._with(other, -1)

    def _with(self, other: Resources, sign: int) -> Resources:
        extended = self.extended
        if other.extended:
            amounts = dict(extended)
            for name, amount in other.extended:
                amounts[name] = amounts.get(name, 0) + sign * amount
            extended = extended_of(amounts)
        return Resources(
            cpu=self.cpu + sign * other.cpu, memory=self.memory + sign * other.memory, extended=extended
        )

    def items(self) -> Iterator[tuple[str, int]]:
        """Every dimension by its name in manifests, cpu and memory first."""
        yield "cpu", self.cpu
        yield "memory", self.memory
        yield from self.extended


def extended_of(amounts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Extended resources in the form that `Resources` keeps."""
    return tuple(sorted((name, amount) for name, amount in amounts.items() if amount))


NOTHING = Resources()
