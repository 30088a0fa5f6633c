"""The act in which a host is cut off and comes back: what is told of it, from the passes of the daemon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rota.core.ids import WorkloadId
from rota.core.observed import HostState, Result
from rota.core.planning.rollout import DUPLICATE
from rota.reconcile import Pass

Tell = Callable[[Pass, str], None]
Slot = tuple[WorkloadId, int]


def host_to_cut(last: Pass) -> str:
    """A host that runs much and holds nobody's data, so that all of it can go on elsewhere."""
    pinned = set(last.status.ledger.pins.values())
    hosts = [one for one in last.status.hosts if one.state is HostState.REACHABLE]
    best = max(hosts, key=lambda one: (one.view.name not in pinned, len(one.view.containers), one.view.name))
    return best.view.name


@dataclass(slots=True)
class Outage:
    """One host, since when it is cut off (monotonic seconds), and what was told of it so far. `ran` are the
    slots that it had."""

    host: str
    since: float
    ran: frozenset[Slot]
    lost: bool = False
    replaced: bool = False
    healed: bool = False
    settled: int = 0
    over: bool = False

    def follow(self, last: Pass, tell: Tell) -> str:
        """Take in one pass. Returns what is to be said of it in the end, once there is something."""
        if self.over:
            return ""
        view = next(one.view for one in last.status.hosts if one.view.name == self.host)
        seconds = last.now.mono - self.since
        if not self.lost and view.state is HostState.LOST:
            self.lost = True
            tell(last, f"{self.host} is lost {seconds:.1f} s after the cut: what it ran starts elsewhere.")
        if self.healed:
            return self._come_back(last, view.state, tell)
        if self.lost and not self.replaced and not _under_way(last):
            return self._replace(last, seconds, tell)
        return ""

    def _replace(self, last: Pass, seconds: float, tell: Tell) -> str:
        self.replaced = True
        served = {
            (one.workload, one.slot)
            for host in last.status.hosts
            for one in host.view.containers
            if host.view.name != self.host and one.ready
        }
        there, whole = len(self.ran & served), len(self.ran)
        rest = f"; {whole - there} find no room and wait for it" if there < whole else ""
        after = f"{there} of the {whole} instances of {self.host} healthy elsewhere"
        tell(last, f"{after} {seconds:.1f} s after the cut{rest}.")
        return f"{self.host} cut off: {after} after {seconds:.1f} s"

    def _come_back(self, last: Pass, state: HostState, tell: Tell) -> str:
        self.settled += sum(
            one.verb == "stop" and one.result is Result.DONE and one.cause.startswith(DUPLICATE)
            for one in last.outcomes
        )
        if state is not HostState.REACHABLE or not last.status.ready or _under_way(last):
            return ""
        self.over = True
        many = f"{self.settled} duplicate{'s'[: self.settled != 1]}"
        tell(last, f"{self.host} is back: what it still ran was adopted, {many} stopped.")
        return f"{self.host} came back: {many} settled"


def _under_way(last: Pass) -> bool:
    """Whether something is being started or stopped, or is about to be."""
    decision = last.decision
    return (
        decision is None
        or bool(decision.actions)
        or any(change.host is not None for change in decision.changes)
        or any(host.view.stopping for host in last.status.hosts)
        or any(
            host.state is HostState.REACHABLE and not one.ready
            for host in last.status.hosts
            for one in host.view.all_containers
        )
    )
