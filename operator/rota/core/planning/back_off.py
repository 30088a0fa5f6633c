"""Failed starts and how long to wait after them: exponential, capped, with a jitter that replays.

An instance that started and had to be stopped because it was not healthy is a failed start too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rota.core.ids import WorkloadId
from rota.core.ledger import Failure, FailureKey, GoodSpec, SpecKey
from rota.core.model import Fleet
from rota.core.observed import Now, ObservedContainer, Outcome, Result
from rota.core.placement.terrain import stable_hash

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 60.0
JITTER = 0.2
FORGET_SECONDS = 600.0
"""A record that nothing was added to for so long after its wait is dropped."""


FIRST_MOVE_SECONDS = 30.0
LONGEST_MOVE_SECONDS = 3600.0
"""Between two moves of a workload that keeps dying wherever it is."""


def delay(count: int, seed: str, first: float = FIRST_SECONDS, longest: float = LONGEST_SECONDS) -> float:
    """Seconds to wait after the `count`-th failure in a row: 1, 2, 4 … 60, each ± 20 %."""
    base = min(first * 2.0 ** min(count - 1, 16), longest)
    share = stable_hash(f"{seed}#{count}") / 2**64
    return base * (1 - JITTER + 2 * JITTER * share)


def fold(
    failures: Mapping[FailureKey, Failure], outcomes: Iterable[Outcome], now: Now
) -> dict[FailureKey, Failure]:
    """`failures` with the outcomes that came in: a failure lengthens its record."""
    result = dict(failures)
    for outcome in outcomes:
        key = (outcome.workload, outcome.host, outcome.spec)
        message = _failed_start(outcome)
        if message:
            count = result[key].count + 1 if key in result else 1
            until = now.mono + delay(count, f"{outcome.workload}@{outcome.host}")
            result[key] = Failure(count=count, until=until, message=message)
        elif outcome.verb == "image" and outcome.result is Result.DONE:
            result.pop(key, None)
    return result


def _failed_start(outcome: Outcome) -> str:
    """Why the start that `outcome` tells of counts as failed; empty where it does not."""
    if outcome.verb != "stop":
        return outcome.message if outcome.result is Result.FAILED else ""
    return outcome.cause if outcome.sick and outcome.result is Result.DONE else ""


def crashed(
    crashes: Mapping[SpecKey, Failure], moved: Mapping[SpecKey, str], fleet: Fleet, now: Now
) -> dict[SpecKey, Failure]:
    """`crashes` with what is `moved` now because it kept dying, by spec with the reason; without what is of
    no use any more."""
    result = {
        (workload, spec): one
        for (workload, spec), one in crashes.items()
        if now.mono - one.until < max(FORGET_SECONDS, LONGEST_MOVE_SECONDS)
        and workload in fleet.services
        and fleet.services[workload].spec_hash == spec
    }
    for key, why in moved.items():
        count = result[key].count + 1 if key in result else 1
        wait = delay(count, f"{key[0]} {key[1]}", FIRST_MOVE_SECONDS, LONGEST_MOVE_SECONDS)
        result[key] = Failure(count=count, until=now.mono + wait, message=why)
    return result


def forgive(
    failures: Mapping[FailureKey, Failure],
    fleet: Fleet,
    good: Mapping[WorkloadId, GoodSpec],
    groups: Mapping[WorkloadId, Sequence[ObservedContainer]],
    now: Now,
) -> dict[FailureKey, Failure]:
    """`failures` without what is refuted, by an instance that has soaked since, or of no use any more."""
    return {
        key: failure
        for key, failure in failures.items()
        if now.mono - failure.until < FORGET_SECONDS
        and _still_asked_for(key, fleet, good)
        and not any(_refutes(one, key, failure, fleet, now) for one in groups.get(key[0], ()))
    }


def _still_asked_for(key: FailureKey, fleet: Fleet, good: Mapping[WorkloadId, GoodSpec]) -> bool:
    workload, host, spec = key
    service = fleet.services.get(workload)
    if service is None or host not in fleet.hosts:
        return False
    return spec == service.spec_hash or (workload in good and spec == good[workload].spec)


def _refutes(container: ObservedContainer, key: FailureKey, failure: Failure, fleet: Fleet, now: Now) -> bool:
    workload, host, spec = key
    if (container.host, container.spec) != (host, spec) or container.ready_since is None:
        return False
    soaked = now.mono - container.ready_since >= fleet.services[workload].update.min_healthy_time
    return soaked and container.ready_since >= failure.until
