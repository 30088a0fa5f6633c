"""One workload as people are told of it: how many are wanted, run and serve, how it is, and why not well.

Health, worst wins: Healthy < Suspended < Progressing < Missing < Degraded < Unknown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rota.core.decide import Decision, Unplaced
from rota.core.model import Fleet, Service, Singleton
from rota.core.observed import DEATHS_SECONDS, Health, HostState, ObservedContainer, ObservedState
from rota.core.placement.refusals import in_words
from rota.core.planning import specs
from rota.core.planning.actions import Change
from rota.core.planning.judge import MOST_DEATHS
from rota.core.redact import redact, secrets_of
from rota.core.rollout_phase import RolloutStatus, rollout_of


class HealthWord(StrEnum):
    """One word per workload, and for the fleet."""

    HEALTHY = "Healthy"
    SUSPENDED = "Suspended"
    PROGRESSING = "Progressing"
    MISSING = "Missing"
    DEGRADED = "Degraded"
    UNKNOWN = "Unknown"


WORST_LAST = tuple(HealthWord)
MOST_LINES = 20
"""Lines of logs in the status of one workload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadStatus:
    """One workload: how many are wanted by which rule, how many run and are ready, and why not all.

    `image` is what the image of its spec was resolved to; `last_words` are the last lines of the logs of what
    died or is sick, where it is Degraded.
    """

    kind: str
    namespace: str
    name: str
    desired: int
    rule: str
    running: int
    ready: int
    health: HealthWord
    revision: str
    spec: str
    reason: str
    changes: tuple[Change, ...]
    image: str = ""
    rollout: RolloutStatus | None = None
    last_words: tuple[str, ...] = ()


def worst(words: Iterable[HealthWord]) -> HealthWord:
    return max(words, key=WORST_LAST.index, default=HealthWord.HEALTHY)


def workload_statuses(
    stated: Fleet, observed: ObservedState, decision: Decision
) -> tuple[WorkloadStatus, ...]:
    """Every workload of the fleet, in the order of their names; `stated` is the fleet of its commit."""
    containers: dict[object, list[ObservedContainer]] = defaultdict(list)
    for container in observed.containers():
        if not observed.is_stopping(container):
            containers[container.workload].append(container)
    changes: dict[object, list[Change]] = defaultdict(list)
    for change in decision.changes:
        changes[change.workload].append(change)
    unplaced = {one.workload: one for one in decision.unplaced}
    return tuple(
        _Told(
            service=service,
            stated=stated.services.get(workload, service),
            containers=tuple(containers[workload]),
            changes=tuple(changes[workload]),
            unplaced=unplaced.get(workload),
            observed=observed,
            decision=decision,
        ).status()
        for workload, service in sorted(decision.fleet.services.items())
    )


def waits_for_a_lost_host(change: Change, observed: ObservedState) -> bool:
    """Whether a change only waits until a lost host is back: until then nothing is to be done."""
    view = observed.hosts.get(change.source or "")
    return view is not None and view.state is HostState.LOST and bool(change.waits) and change.host is None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """Everything that is to be said of one workload."""

    service: Service
    stated: Service
    containers: tuple[ObservedContainer, ...]
    changes: tuple[Change, ...]
    unplaced: Unplaced | None
    observed: ObservedState
    decision: Decision

    def status(self) -> WorkloadStatus:
        service, want = self.service, self.decision.wants[self.service.id]
        health, reason = self._health()
        return WorkloadStatus(
            kind=service.kind,
            namespace=service.id.namespace,
            name=service.id.name,
            desired=want.due,
            rule=want.rule,
            running=len({one.slot for one in self._there if one.running}),
            ready=self._ready,
            health=health,
            revision=self._revision(),
            spec=service.spec_hash,
            reason=reason,
            changes=self.changes,
            image=self.decision.ledger.images.get((service.id, service.spec_hash), ""),
            rollout=rollout_of(service, self.containers, self.changes, self.decision),
            last_words=self._last_words() if health is HealthWord.DEGRADED else (),
        )

    def _revision(self) -> str:
        """The commit that its spec came with: what a lost instance is replaced by does not change it."""
        spec = self.service.spec_hash
        good = self.decision.ledger.good.get(self.service.id)
        if good is not None and good.spec == spec:
            return good.revision
        return min((one.revision for one in self.containers if one.spec == spec), default="")

    @property
    def _there(self) -> tuple[ObservedContainer, ...]:
        """What is not on a host that is lost."""
        hosts = self.observed.hosts
        return tuple(one for one in self.containers if hosts[one.host].state is not HostState.LOST)

    @property
    def _ready(self) -> int:
        return len({one.slot for one in self._there if one.ready})

    def _health(self) -> tuple[HealthWord, str]:
        decision, service = self.decision, self.service
        want = decision.wants[service.id].due
        changes = tuple(
            one for one in self.changes if not (one.ahead or waits_for_a_lost_host(one, self.observed))
        )
        silent = self._silent()
        if silent:
            return HealthWord.UNKNOWN, f"{', '.join(silent)} does not answer; what it ran is presumed to run"
        if service.id in decision.guard.blocked:
            return HealthWord.DEGRADED, f"PruneBlocked: {decision.guard.message}"
        failures = self._failures()
        if self._failed():
            return HealthWord.DEGRADED, self._failed()
        if self._sick() or self._flapping() or (failures and (changes or self._ready < want)):
            said = failures or [*self._flapping(), *self._sick()]
            return HealthWord.DEGRADED, "; ".join(said)
        if self.unplaced is not None:
            word = HealthWord.MISSING if self._ready == 0 else HealthWord.DEGRADED
            return word, f"{self.unplaced.count} unplaced: {in_words(self.unplaced.refusals)}"
        if decision.held and changes:
            return HealthWord.SUSPENDED, decision.held.message
        if stranded := self._stranded():
            return (HealthWord.DEGRADED if self._ready else HealthWord.MISSING), stranded
        if want > 0 and not self._there:
            return HealthWord.MISSING, _first_wait(changes)
        if changes or self._ready < want:
            return HealthWord.PROGRESSING, _first_wait(changes)
        if self._soaks():
            soak = service.update.min_healthy_time
            return HealthWord.PROGRESSING, f"its spec is new, and not yet healthy everywhere for {soak:g}s"
        return HealthWord.HEALTHY, ""

    def _soaks(self) -> bool:
        """Whether it has what is wanted, and too short a time for that to be known to be good."""
        record = self.decision.ledger.rollouts.get(self.service.id)
        new = record is not None and record.spec == self.service.spec_hash
        return new and self.decision.held is None and self.decision.wants[self.service.id].due > 0

    def _silent(self) -> list[str]:
        """The hosts that are not lost yet, do not answer, and have the only instance of a slot."""
        answers = {one.slot for one in self.containers if self._state(one) is HostState.REACHABLE}
        return sorted({one.host for one in self._there if one.slot not in answers})

    def _stranded(self) -> str:
        """Why slots that are only on lost hosts are not replaced."""
        there = {one.slot for one in self._there}
        hosts = sorted({one.host for one in self.containers if one.slot not in there})
        if not hosts:
            return ""
        lost = f"waits for {', '.join(hosts)}, which {'is' if len(hosts) == 1 else 'are'} lost"
        if self.service.container.pinned:
            return f"{lost}: its volumes are there"
        if self.service.singleton is Singleton.STRICT:
            deleted = [name for name in hosts if name not in self.decision.fleet.hosts]
            word = "an Override with lost: true on the host ends the wait"
            if deleted:
                again = f"commit {', '.join(deleted)} again"
                word = f"{again}, with an Override that says lost: true, to end the wait"
            return f"{lost}: it must never run twice ({word})"
        return f"{lost}: {self.decision.brake}" if self.decision.brake else ""

    def _state(self, one: ObservedContainer) -> HostState:
        return self.observed.hosts[one.host].state

    def _failures(self) -> list[str]:
        """Where its spec could not be started, and why."""
        wanted = (self.service.id, self.service.spec_hash)
        failures = sorted(self.decision.ledger.failures.items())
        return [f"{host}: {one.message}" for (id_, host, spec), one in failures if (id_, spec) == wanted]

    def _sick(self) -> list[str]:
        sick = sorted(
            f"{one.name} on {one.host}" for one in self.containers if one.health is Health.UNHEALTHY
        )
        return [f"unhealthy: {', '.join(sick)}"] if sick else []

    def _flapping(self) -> list[str]:
        """What died again and again within minutes, and of what last."""
        return sorted(
            f"{workload}/{slot} died {MOST_DEATHS} times or more within {DEATHS_SECONDS / 60:g} minutes on "
            f"{name}: {deaths.cause}"
            for name, view in self.observed.hosts.items()
            for (workload, slot, spec), deaths in view.deaths.items()
            if (workload, spec) == (self.service.id, self.service.spec_hash) and len(deaths.at) >= MOST_DEATHS
        )

    def _failed(self) -> str:
        """What came of a spec that could not be brought to everybody."""
        found = self.decision.ledger.failed.get(self.service.id)
        if found is None:
            return ""
        what = f"{specs.short(found.revision)} failed: {found.reason}"
        if not found.reverts or found.spec == self.service.spec_hash:
            return f"RolloutFailed: {what}"
        if found.stuck:
            return f"RevertStalled: {what}; the way back to the spec before makes no progress either"
        return f"RolledBack: {what}; the spec before holds until its document changes"

    def _last_words(self) -> tuple[str, ...]:
        """The last lines of the logs of what died or is sick, secrets masked."""
        found: list[str] = []
        for name, view in sorted(self.observed.hosts.items()):
            for (workload, slot), lines in sorted(view.last_words.items()):
                if workload == self.service.id:
                    found += [f"{workload.name}/{slot} on {name} | {line}" for line in lines]
        # What spoke may have had the secrets of the spec before, or of one that failed and was returned from.
        known = [self.service.container, self.stated.container]
        good = self.decision.ledger.good.get(self.service.id)
        if good is not None:
            known.append(good.container)
        secrets = frozenset[str]().union(*(secrets_of(one.environment) for one in known))
        return redact(found[:MOST_LINES], secrets)


def _first_wait(changes: Sequence[Change]) -> str:
    return next((change.waits for change in changes if change.waits), "")
