"""The story: what a person would want to be told, from the passes of the daemon."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from rota.core.edge_lines import EdgeLine
from rota.core.ids import WorkloadId
from rota.core.observed import ObservedContainer, Result
from rota.core.status import FleetStatus
from rota.demo.outage import Outage
from rota.reconcile import Pass


@dataclass(slots=True)
class _Waiting:
    """Something that was begun and whose end is to be told: what, since when (monotonic seconds)."""

    text: str
    since: float
    counts: dict[str, int]


@dataclass(slots=True)
class Story:
    """Follows the passes. `lines` are sentences, `commits` the status commits, both oldest first; `met` says
    how edges were met."""

    lines: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    edges: list[tuple[str, float]] = field(default_factory=list)
    met: list[EdgeLine] = field(default_factory=list)
    outage: Outage | None = None
    outages: list[str] = field(default_factory=list)
    _window: str = ""
    _commit: str = ""
    _waiting: list[_Waiting] = field(default_factory=list)
    _begun: set[tuple[datetime, WorkloadId]] = field(default_factory=set)
    _met: set[tuple[datetime, WorkloadId]] = field(default_factory=set)
    _killed: ObservedContainer | None = None
    _killed_at: float = 0.0
    _mended_by_rota: bool = False

    def tell(self, last: Pass, text: str) -> None:
        self.lines.append(f"{self._clock(last):%H:%M}  {text}")

    def follow(self, last: Pass) -> None:
        """Take in one pass."""
        if last.decision is None:
            return
        self._follow_commits(last)
        self._follow_edges(last)
        self._follow_window(last)
        self._follow_outcomes(last)
        self._follow_killed(last)
        self._follow_outage(last)
        self._follow_waiting(last)

    def expect(self, last: Pass, text: str) -> None:
        """`text` was begun: tell when the fleet is ready again, and how long it took."""
        self._waiting.append(_Waiting(text, last.now.mono, _ready(last.status)))

    def killed(self, last: Pass, one: ObservedContainer) -> None:
        """`one` is about to be killed: tell when its slot is healthy again, and who saw to it."""
        self._killed = one
        self._killed_at = last.now.mono
        self._mended_by_rota = False
        self.tell(last, f"Somebody kills {one.workload}/{one.slot} on {one.host}.")

    def cut_off(self, last: Pass, host: str) -> None:
        """`host` is about to be cut off: tell when it is lost, and when all it ran is healthy elsewhere."""
        view = next(one.view for one in last.status.hosts if one.view.name == host)
        ran = frozenset((one.workload, one.slot) for one in view.containers)
        self.outage = Outage(host=host, since=last.now.mono, ran=ran)
        self.tell(last, f"{host} is cut off from the network, with {len(ran)} instances on it.")

    def healed(self, last: Pass) -> None:
        """The host that was cut off is connected again: tell how what runs twice is settled."""
        if self.outage is not None:
            self.outage.healed = True
            self.tell(last, f"{self.outage.host} is connected again.")

    def _follow_outage(self, last: Pass) -> None:
        if self.outage is not None:
            said = self.outage.follow(last, self.tell)
            self.outages += [said] if said else []

    def _follow_commits(self, last: Pass) -> None:
        if last.git.pushed and last.git.pushed != self._commit and last.git.published is not None:
            self._commit = last.git.pushed
            self.commits.append(f"{self._commit[:7]}  {last.git.published.subject}")

    def _follow_window(self, last: Pass) -> None:
        assert last.decision is not None
        window = last.decision.windows[0].window
        if self._window and window != self._window:
            counts = ", ".join(
                f"{one.name} {one.ready} → {one.desired}"
                for one in last.status.workloads
                if one.ready != one.desired
            )
            self.tell(last, f"The window {window} begins{': ' * bool(counts)}{counts}.")
        self._window = window

    def _follow_edges(self, last: Pass) -> None:
        """What begins ahead of an edge, and how that edge was met in the end."""
        assert last.decision is not None
        zone = last.decision.windows[0].policy.zone
        for record in last.decision.ledger.edges:
            key = (record.at, record.workload)
            if record.begun is not None and not record.over and key not in self._begun:
                self._begun.add(key)
                what = "fills what is free" if record.elastic else f"grows to {record.wanted}"
                window = f"{record.window} at {record.at.astimezone(zone):%H:%M}"
                self.tell(last, f"Ahead of the window {window}, {record.workload.name} {what}.")
        for line in last.status.edges:
            key = (line.record.at, line.record.workload)
            if line.record.over and key not in self._met:
                self._met.add(key)
                offset = abs(line.record.offset or 0.0) / last.now.speed
                self.tell(last, f"{line.text[0].upper()}{line.text[1:]} ({offset:.1f} real seconds).")
                self.met.append(line)

    def _follow_outcomes(self, last: Pass) -> None:
        for one in last.outcomes:
            self.done[f"{one.verb} {one.result}"] += 1
            if one.result is Result.FAILED:
                self.tell(
                    last, f"{one.verb} of {one.workload}/{one.slot} on {one.host} failed: {one.message}"
                )

    def _follow_killed(self, last: Pass) -> None:
        """The slot is healthy again once a container of it became ready after the kill."""
        if self._killed is None:
            return
        slot = (self._killed.workload, self._killed.slot)
        self._mended_by_rota |= any(
            (one.workload, one.slot) == slot and one.verb in ("start", "restart") for one in last.outcomes
        )
        for host in last.status.hosts:
            for one in host.view.containers:
                if (one.workload, one.slot) == slot and (one.ready_since or 0.0) > self._killed_at:
                    self._killed = None
                    who = "Rota started it" if self._mended_by_rota else "its Engine restarted it"
                    seconds = last.now.mono - self._killed_at
                    self.tell(
                        last,
                        f"{slot[0]}/{slot[1]} is healthy again on {one.host} after {seconds:.1f} s: {who}.",
                    )
                    return

    def _follow_waiting(self, last: Pass) -> None:
        if not last.status.ready or not self._waiting:
            return
        after = _ready(last.status)
        for one in self._waiting:
            seconds = last.now.mono - one.since
            moved = ", ".join(
                f"{name} {one.counts.get(name, 0)} → {count}"
                for name, count in sorted(after.items())
                if count != one.counts.get(name, 0)
            )
            self.edges.append((one.text, seconds))
            self.tell(
                last,
                f"Done after {seconds:.1f} real seconds, all healthy: {one.text} ({moved or 'no change'}).",
            )
        self._waiting.clear()

    @staticmethod
    def _clock(last: Pass) -> datetime:
        assert last.decision is not None
        return last.now.wall.astimezone(last.decision.windows[0].policy.zone)


def _ready(status: FleetStatus) -> dict[str, int]:
    return {one.name: one.ready for one in status.workloads}
