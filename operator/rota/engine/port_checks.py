"""Checks from outside, for images without one of their own: when each is due, and what they come to.

Each container is asked what it was made with, so that a check that changes is a matter of its successors.
A container begins as starting, is healthy after `rise` successes in a row, and from then on unhealthy after
`fall` failures in a row. A failure counts only once the Engine's API has answered since that check began:
else it may be the host, or the way to it, that failed. Monotonic seconds throughout.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from rota.core.container import Check
from rota.core.observed import ContainerState, Health, ObservedContainer
from rota.core.placement.terrain import stable_hash
from rota.engine.calls import AskPort

MOST_CHECKS = 8
"""In flight per host."""
SPREAD_SECONDS = 0.5
"""The first checks of containers that start together come within this time."""


class _Target(NamedTuple):
    port: int
    check: Check


@dataclass(slots=True)
class _Checked:
    """One container since `began`: successes or failures in a row, when a check began that failed and does
    not count yet, and when one that is under way was asked."""

    target: _Target
    began: float
    due: float
    health: Health = Health.STARTING
    successes: int = 0
    failures: int = 0
    doubtful: float | None = None
    asked_at: float | None = None


class PortChecks:
    """The checks of one host, reached at `address`."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._checked: dict[str, _Checked] = {}

    @property
    def settled(self) -> bool:
        """Whether every verdict stands as long as answers stay as they are."""
        return all(
            (one.health, one.asked_at, one.failures, one.doubtful) == (Health.HEALTHY, None, 0, None)
            for one in self._checked.values()
        )

    @property
    def wake_at(self) -> float:
        """When the next check is due."""
        return min((one.due for one in self._checked.values() if one.asked_at is None), default=float("inf"))

    def verdict(self, container: ObservedContainer, now: float) -> Health | None:
        """What the checks say of a container; None where none applies. What was started anew begins anew."""
        target = _target(container)
        if target is None:
            return None
        one = self._checked.get(container.id)
        if one is None or one.target != target or container.seen_since > one.began:
            spread = min(SPREAD_SECONDS, target.check.interval) * stable_hash(container.id) / 2**64
            one = self._checked[container.id] = _Checked(target, began=now, due=now + spread)
        return one.health

    def keep(self, containers: Iterable[ObservedContainer]) -> None:
        """Check none but those of `containers` that a check applies to."""
        kept = {one.id for one in containers if _target(one) is not None}
        self._checked = {key: one for key, one in self._checked.items() if key in kept}

    def take_calls(self, room: int, now: float) -> list[tuple[str, AskPort]]:
        """At most `room` checks to make now, with the ids of their containers; first what is due longest."""
        waiting = [pair for pair in self._checked.items() if pair[1].asked_at is None and pair[1].due <= now]
        calls = []
        for container_id, one in sorted(waiting, key=lambda pair: (pair[1].due, pair[0]))[: max(room, 0)]:
            one.asked_at, one.due = now, now + one.target.check.interval
            calls.append((container_id, AskPort(self._address, *one.target)))
        return calls

    def succeeded(self, container_id: str, asked_at: float) -> bool:
        """Whether the verdict changes."""
        one = self._answered(container_id, asked_at)
        if one is None:
            return False
        one.successes, one.failures, one.doubtful = one.successes + 1, 0, None
        if one.health is Health.HEALTHY or one.successes < one.target.check.rise:
            return False
        one.health = Health.HEALTHY
        return True

    def failed(self, container_id: str, asked_at: float, last_answer: float) -> bool:
        """Whether the verdict changes. `last_answer`: when the Engine's API answered last."""
        one = self._answered(container_id, asked_at)
        if one is None:
            return False
        one.doubtful = asked_at if one.doubtful is None else one.doubtful
        return self._count(one, last_answer)

    def heard(self, now: float) -> bool:
        """The Engine's API answered, so that failures that were in doubt count: whether a verdict changes."""
        changed = [self._count(one, now) for one in self._checked.values()]
        return any(changed)

    def doubt(self) -> None:
        """A call to the Engine was not answered: failures that are in doubt do not count."""
        for one in self._checked.values():
            one.doubtful = None

    def _count(self, one: _Checked, heard_at: float) -> bool:
        if one.doubtful is None or heard_at < one.doubtful:
            return False
        one.successes, one.failures, one.doubtful = 0, one.failures + 1, None
        if one.health is not Health.HEALTHY or one.failures < one.target.check.fall:
            return False
        one.health = Health.UNHEALTHY
        return True

    def _answered(self, container_id: str, asked_at: float) -> _Checked | None:
        """What a check was asked of, unless it was started anew since."""
        one = self._checked.get(container_id)
        if one is None or one.asked_at != asked_at:
            return None
        one.asked_at = None
        return one


def _target(container: ObservedContainer) -> _Target | None:
    """What is asked of a container that runs; None where it has no check, or no such port."""
    check = container.check
    if check is None or container.state is not ContainerState.RUNNING:
        return None
    ports = (port for port in container.ports if port.target == check.port and port.protocol == "tcp")
    return next((_Target(port.published, check) for port in ports), None)
