"""What placement is told: selectors, taints, spread, whose company to keep or to avoid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from rota.core.ids import WorkloadId


class Effect(StrEnum):
    """What a taint does to workloads that do not tolerate it: none may come, or none may stay either."""

    NO_SCHEDULE = "NoSchedule"
    NO_EXECUTE = "NoExecute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """A mark of a host that only workloads with a matching toleration accept."""

    key: str
    value: str = ""
    effect: Effect = Effect.NO_SCHEDULE

    def __str__(self) -> str:
        return f"{self.key}={self.value}" if self.value else self.key


class Operator(StrEnum):
    """How a selector compares a host label with its values."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One condition of a host selector. `matchLabels` arrives here as `In` with one value."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def met_by(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value is not None and value in self.values
            case Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None

    def __str__(self) -> str:
        match self.operator:
            case Operator.IN if len(self.values) == 1:
                return f"{self.key}={self.values[0]}"
            case Operator.IN | Operator.NOT_IN:
                return f"{self.key} {self.operator} ({', '.join(self.values)})"
            case _:
                return f"{self.key} {self.operator}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """Accepts the taints of `key`, of any value and any effect where these are None."""

    key: str
    value: str | None = None
    effect: Effect | None = None

    def accepts(self, taint: Taint) -> bool:
        return (
            self.key == taint.key
            and self.value in (None, taint.value)
            and self.effect in (None, taint.effect)
        )


class Strategy(StrEnum):
    """How feasible hosts are ranked."""

    SPREAD = "spread"
    PACK = "pack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Instances are spread over the values of the host label `key`.

    `hard` (`DoNotSchedule`): no value may have more than `max_skew` instances above the value that has
    the fewest. Otherwise (`ScheduleAnyway`) evenness is only what is tried first.
    """

    key: str
    max_skew: int = 1
    hard: bool = False


HOST_SCOPE = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Affinity:
    """With, or as anti-affinity apart from, the instances of another workload (or its own, apart).

    `scope` is "host", or the host label whose equal values count as together. Not `required`: it only
    ranks hosts.
    """

    workload: WorkloadId
    scope: str = HOST_SCOPE
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementRules:
    """Which hosts may run a workload, and which of them it prefers."""

    host_selector: tuple[Requirement, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    max_per_host: int | None = None
    spread: tuple[Spread, ...] = ()
    affinity: tuple[Affinity, ...] = ()
    anti_affinity: tuple[Affinity, ...] = ()
    strategy: Strategy = Strategy.SPREAD


ANYWHERE = PlacementRules()
"""Every host will do, and services spread."""
