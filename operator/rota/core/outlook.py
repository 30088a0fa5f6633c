"""A stretch of time of one fleet: what windows and Overrides make of each workload, and when.

Nothing here is simulated: what is wanted depends only on which windows are open and which Overrides are in
force. Each of these is a bit, a year is the moments at which bits flip, and every set of bits that occurs is
judged once, however many days show it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property, partial

from rota.core.edges import Almanac
from rota.core.hours import Span, moment
from rota.core.ids import WorkloadId
from rota.core.model import CapacityPolicy, Fleet, Override, Service, Window
from rota.core.windows import Want, by_name, chosen_windows, forces, replaces, want_of, wanted


@dataclass(frozen=True)
class Demand:
    """What is wanted of one workload, by the bits of what is open and in force.

    `policies` are those that name it, each with its windows that do; `overrides` those that set its
    replicas or force a window of such a policy.
    """

    service: Service
    policies: Sequence[tuple[CapacityPolicy, Sequence[tuple[int, Window]]]]
    overrides: Sequence[tuple[int, Override]]
    _known: dict[int, Want] = field(default_factory=dict)

    @cached_property
    def deciding(self) -> int:
        """The bits that this workload depends on; all others are nothing to it."""
        bits = 0
        for bit, _ in self.overrides:
            bits |= bit
        for _, windows in self.policies:
            for bit, _ in windows:
                bits |= bit
        return bits

    def want(self, bits: int) -> Want:
        deciding = bits & self.deciding
        known = self._known.get(deciding)
        if known is None:
            known = self._known[deciding] = self._want(deciding)
        return known

    def _want(self, bits: int) -> Want:
        active = tuple(override for bit, override in self.overrides if bits & bit)
        chosen = tuple(
            (policy, chosen_windows(policy, tuple(window for bit, window in windows if bits & bit), active))
            for policy, windows in self.policies
        )
        return want_of(self.service, chosen, active)

    def zone(self, rule: str) -> tzinfo:
        """The zone of the policy that a rule names, UTC where it names none."""
        ruling = (policy.zone for policy, _ in self.policies if rule.startswith(f"window {policy.name}/"))
        return next(ruling, UTC)


class Outlook:
    """A stretch of time of one fleet: which bits are set when, and what that makes of each workload.

    What it has found once it keeps, for many quotas look at the same workloads and hours.
    """

    def __init__(self, fleet: Fleet, start: datetime, end: datetime) -> None:
        self.fleet = fleet
        self.start, self.end = moment(start), moment(end)
        self._almanac = Almanac(start, end)
        self._sources: dict[int, Callable[[], Sequence[Span]]] = {}
        self._overrides = [
            (self._new_bit(partial(self._spans_of_override, override)), override)
            for override in fleet.overrides
        ]
        self._policies = self._policies_by_workload()
        self._demands: dict[WorkloadId, Demand] = {}
        self._states: dict[int, Sequence[tuple[int, int]]] = {}

    def _new_bit(self, spans: Callable[[], Sequence[Span]]) -> int:
        """A bit with a way to its spans: they are many, and worked out only where they matter."""
        bit = 1 << len(self._sources)
        self._sources[bit] = spans
        return bit

    def _spans_of_override(self, override: Override) -> Sequence[Span]:
        return (self._almanac.span(override),)

    def _policies_by_workload(
        self,
    ) -> Mapping[WorkloadId, Sequence[tuple[CapacityPolicy, Sequence[tuple[int, Window]]]]]:
        """For each workload the policies that name it, by name, with those of their windows that do."""
        found: dict[WorkloadId, list[tuple[CapacityPolicy, Sequence[tuple[int, Window]]]]] = {}
        for policy in by_name(self.fleet):
            windows = [
                (self._new_bit(partial(self._almanac.spans, window, policy.zone)), window)
                for window in policy.windows
            ]
            named = set(policy.base).union(*(window.replicas for window in policy.windows))
            for workload in named:
                naming = [(bit, window) for bit, window in windows if workload in window.replicas]
                found.setdefault(workload, []).append((policy, naming))
        return found

    def demand(self, service: Service) -> Demand:
        """What is wanted of a workload, by bits."""
        if service.id not in self._demands:
            policies = self._policies.get(service.id, ())
            overrides = [
                (bit, override)
                for bit, override in self._overrides
                if replaces(override, service.id) or any(forces(override, policy) for policy, _ in policies)
            ]
            self._demands[service.id] = Demand(service, policies, overrides)
        return self._demands[service.id]

    def states(self, deciding: int) -> Sequence[tuple[int, int]]:
        """The beginning and every moment at which one of the `deciding` bits flips, with those then set."""
        if deciding not in self._states:
            self._states[deciding] = tuple(self._sweep(deciding))
        return self._states[deciding]

    def _sweep(self, deciding: int) -> Iterator[tuple[int, int]]:
        flips = {self.start: 0}
        for bit, spans in self._sources.items():
            for begin, until in spans() if bit & deciding else ():
                if self.start < until and begin < min(until, self.end):
                    first = max(begin, self.start)
                    flips[first] = flips.get(first, 0) ^ bit
                    flips[until] = flips.get(until, 0) ^ bit
        bits = 0
        for at in sorted(flips):
            if at < self.end:
                bits ^= flips[at]
                yield at, bits


def never_wanted(fleet: Fleet, start: datetime, days: int = 365) -> tuple[Service, ...]:
    """The workloads of which nothing ever wants an instance from `start` on, by name.

    One that may fill is wanted, whether or not anything will be left over for it.
    """
    now = wanted(fleet, start)
    suspects = [service for workload, service in fleet.services.items() if not _gives(now[workload])]
    if not suspects:
        return ()
    outlook = Outlook(fleet, start, start + timedelta(days=days))
    return tuple(service for service in suspects if not _ever_given(outlook.demand(service), outlook))


def _ever_given(demand: Demand, outlook: Outlook) -> bool:
    return any(_gives(demand.want(bits)) for _, bits in outlook.states(demand.deciding))


def _gives(want: Want) -> bool:
    return want.count > 0 or (want.fill is not None and want.fill.max != 0)
