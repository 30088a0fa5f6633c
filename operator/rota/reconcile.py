"""WHAT a pass does: fetch, load, observe, decide, execute, report, publish. It never waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from rota.clock import Clock
from rota.core.decide import Decision, decide
from rota.core.event import Event, Moment, Remembered, recalled
from rota.core.events import events
from rota.core.ledger import Ledger, PinKey
from rota.core.model import FailureSettings, Fleet
from rota.core.observed import Hold, HostView, Now, ObservedState, Outcome
from rota.core.placement.puzzle import Solver
from rota.core.planning.outage import confirmed_lost
from rota.core.planning.promises import RESERVED_SECONDS
from rota.core.status import Finding, FleetStatus, SourceStatus, stalled, summarise
from rota.engine.execute import execute
from rota.engine.observe import follow_renames, presume, settle_identities, strangers
from rota.engine.runner import FleetSetup, Hosts, HostSetup
from rota.errors import Stalled
from rota.gitrepo.status_branch import StatusTip
from rota.gitrepo.worker import GitView, Repository
from rota.manifest.load import Loaded
from rota.manifest.problem import Problem
from rota.publish import Publisher
from rota.report.documents import EVENTS_PATH
from rota.report.journal import Journal, Noted
from rota.report.restore import restore

log = structlog.get_logger()

Brain = Callable[[Fleet, ObservedState, Ledger, Now, Solver | None], Decision]
"""`decide`, or what a test puts in its place to see that a misbehaving one is caught."""

MOST_PROBES_PER_SECOND = 200
"""Over all hosts; a fleet of thousands is asked less often each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """The result of one pass. `fleet` and `decision` are None while no valid revision is known.

    `outcomes` are the actions whose end became known since the pass before, `observed` is the snapshot
    that was decided on, `events` the last ones, oldest first.
    """

    now: Now
    status: FleetStatus
    git: GitView
    observed: ObservedState
    outcomes: tuple[Outcome, ...] = ()
    fleet: Fleet | None = None
    decision: Decision | None = None
    events: tuple[Noted, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What holds a daemon back from changing anything: a file on its machine, or a dry run."""

    pause_file: Path | None = None
    dry_run: bool = False

    def hold(self) -> Hold | None:
        try:
            if self.pause_file is not None and self.pause_file.exists():
                return Hold("Paused", f"paused: {self.pause_file} exists on the operator's machine")
        except OSError as error:  # whether it is there cannot be known: the safe answer is yes
            return Hold("Paused", f"paused: {self.pause_file} cannot be looked at: {error.strerror}")
        return Hold("DryRun", "dry run: nothing is changed") if self.dry_run else None


class Reconciler:
    """Holds what one pass leaves to the next: the ledger, the last good revision, the journal."""

    def __init__(
        self,
        git: Repository,
        hosts: Hosts,
        clock: Clock,
        limits: Limits,
        solver: Solver | None = None,
        *,
        brain: Brain | None = None,
    ) -> None:
        self._git = git
        self._hosts = hosts
        self._clock = clock
        self._limits = limits
        self._solver = solver
        self._brain = brain
        self._fleet: Fleet | None = None
        self._ledger: Ledger | None = None
        self._damage = ""
        self._journal = Journal()
        self._before = Remembered()
        self._publisher = Publisher()
        self._recalled_pins: frozenset[PinKey] = frozenset()
        self._known: Mapping[str, HostView] = {}

    def run_pass(self) -> Pass:
        """One pass, start to end."""
        now = self._clock.now()
        git = self._git.view()
        ledger = self._remember(git, now)
        fleet = self._adopt(git)
        source = _source_status(git, fleet)
        if fleet is None or not git.ready:
            status = summarise(None, ObservedState(), None, source, ledger)
            if git.ready:  # before, what the status branch says of earlier events is not known
                self._note(Moment(status=status, now=now))
            self._publish(status, git, now)
            return Pass(now=now, status=status, git=git, observed=ObservedState(), events=self._journal.noted)
        observed, ledger = self._observe(fleet, ledger, git, now)
        decision = (self._brain or decide)(fleet, observed, ledger, now, self._solver)
        execute(decision, self._hosts)
        self._ledger = decision.ledger
        status = summarise(fleet, observed, decision, source, decision.ledger)
        self._note(
            Moment(
                status=status,
                now=now,
                rewritten=git.rewritten,
                fleet=fleet,
                observed=observed,
                decision=decision,
            )
        )
        if not observed.unseen():  # what was not looked at yet is not told to anybody
            self._publish(status, git, now)
        if git.push_reason:  # only said here: a status that is pushed can no longer say that it was not
            status = stalled(status, git.push_reason, git.push_message)
        return Pass(
            now=now,
            status=status,
            git=git,
            observed=observed,
            outcomes=observed.outcomes,
            fleet=fleet,
            decision=decision,
            events=self._journal.noted,
        )

    def _remember(self, git: GitView, now: Now) -> Ledger:
        """The ledger: from the status branch at first, from the pass before later."""
        if self._ledger is None and git.ready:
            self._ledger = Ledger()
            if git.tip is not None:
                self._recall(git.tip, now)
        return self._ledger or Ledger()

    def _recall(self, tip: StatusTip, now: Now) -> None:
        self._journal = Journal(tip.files.get(EVENTS_PATH, b"").decode(errors="replace").splitlines())
        if tip.files:
            try:
                recorded, ledger = restore(tip.files)
                self._ledger = reserved_from_now_on(ledger, now)
                self._before = recalled(self._ledger)
                self._known = recorded.hosts
                self._recalled_pins = frozenset(self._ledger.pins)
            except Stalled as error:
                self._damage = str(error)

    def _adopt(self, git: GitView) -> Fleet | None:
        """The newest valid revision: the head, else the one that held before."""
        newest = git.loaded.fleet if git.loaded is not None else None
        if newest is None and self._fleet is None and git.last_good is not None:
            newest = git.last_good.fleet
        if newest is not None and (self._fleet is None or newest.revision != self._fleet.revision):
            self._fleet = newest
        return self._fleet

    def _observe(self, fleet: Fleet, ledger: Ledger, git: GitView, now: Now) -> tuple[ObservedState, Ledger]:
        """One snapshot of every host of the commit, and of those that left it and are being drained.

        With it the ledger, in which hosts that were renamed have their new names.
        """
        hosts = [
            HostSetup(name=one.name, endpoint=one.endpoint, tls=one.tls, address=one.address)
            for one in fleet.hosts.values()
        ]
        hosts += [
            HostSetup(name=name, endpoint=record.endpoint, tls=record.tls, address=record.address)
            for name, record in ledger.hosts.items()
            if name not in fleet.hosts
        ]
        setup = FleetSetup(name=fleet.name, uid=fleet.uid, failure=paced(fleet.failure, len(hosts)))
        self._hosts.configure(setup, hosts)
        outcomes = self._hosts.take_outcomes()
        views, confirmed = self._hosts.views(), confirmed_lost(fleet, now)
        ledger = follow_renames(views, fleet.hosts, ledger)
        known = presume(views, self._known, strangers(views, ledger, confirmed))
        self._known = {
            name: view for name, view in known.items() if name in fleet.hosts or name in ledger.hosts
        }
        observed = ObservedState(
            hosts=settle_identities(self._known, ledger, confirmed),
            outcomes=outcomes,
            recorded_pins=self._recorded(git),
            resolves=True,
            held=self._hold(git),
        )
        return observed, ledger

    def _hold(self, git: GitView) -> Hold | None:
        """What keeps this daemon from acting: it is not the one, it does not know enough, or it was told."""
        if git.frozen:
            return Hold("AnotherOperator", git.frozen)
        if self._damage:
            return Hold("DamagedState", self._damage)
        limit = self._limits.hold()
        if limit is None and not git.claimed:
            # Of two daemons that start on one branch, only the one whose first push is taken may act.
            why = f", which fails: {git.push_message}" if git.push_reason else ""
            message = f"the status branch is claimed before anything is changed{why}"
            return Hold("Claiming", message, passing=not git.push_reason)
        return limit

    def _note(self, moment: Moment) -> None:
        """What happened since the pass before, in the journal and in the log."""
        self._before, happened = events(self._before, moment)
        self._journal.add(happened, moment.now)
        for one in happened:
            _log(one)

    def _recorded(self, git: GitView) -> frozenset[PinKey]:
        """The pins that stand on the status branch."""
        published = git.published.pins if git.published is not None else frozenset()
        return self._recalled_pins | published

    def _publish(self, status: FleetStatus, git: GitView, now: Now) -> None:
        if self._damage or git.frozen or not git.ready:
            return
        publication = self._publisher.publication(status, self._journal, git, self._recorded(git), now)
        if publication is not None:
            self._git.publish(publication)


def _log(one: Event) -> None:
    """One event as a line of the log; what it does not say is left out."""
    fields = {
        "of": one.object,
        "slot": one.slot,
        "host": one.host,
        "result": one.result,
        "reason": one.reason,
        "why": one.message,
        "cause": one.cause,
        "count": one.count if one.count > 1 else None,
    }
    log.info(one.event, **{key: value for key, value in fields.items() if value not in ("", None)})


def paced(failure: FailureSettings, hosts: int) -> FailureSettings:
    """`failure` for so many hosts: many are asked less often each, and silence is judged by that.

    The heartbeat is in whole seconds then, so that a host more or less is no new setup for all the others.
    """
    heartbeat = max(failure.heartbeat, hosts // MOST_PROBES_PER_SECOND)
    if heartbeat == failure.heartbeat:
        return failure
    suspect_after = max(failure.suspect_after, 3 * heartbeat)
    lost_after = max(failure.lost_after, suspect_after + heartbeat)
    return replace(
        failure,
        heartbeat=heartbeat,
        suspect_after=suspect_after,
        lost_after=lost_after,
        engine_down_after=max(failure.engine_down_after, lost_after),
    )


def reserved_from_now_on(ledger: Ledger, now: Now) -> Ledger:
    """`ledger` with reservations that expire and rollouts whose time begins: how long they were held, or
    under way, before this daemon is not known."""
    until = now.mono + RESERVED_SECONDS
    reservations = {key: replace(one, until=until) for key, one in ledger.reservations.items()}
    rollouts = {workload: replace(one, since=now.mono) for workload, one in ledger.rollouts.items()}
    return replace(ledger, reservations=reservations, rollouts=rollouts)


def _source_status(git: GitView, fleet: Fleet | None) -> SourceStatus:
    """What is to be said of the repository: trouble with git first, then with what it says."""
    applied = fleet.revision if fleet is not None else ""
    problems = _findings(git.loaded)
    reason, message = git.reason, git.message
    if not reason and git.loaded is not None and git.loaded.fleet is None:
        errors = sum(one.severity == "error" for one in problems)
        reason = "InvalidCommit"
        message = f"commit {git.head[:12]} has {errors} problem{'s'[: errors != 1]} and is not applied; " + (
            f"{applied[:12]} goes on holding" if applied else "there is no revision before it"
        )
    return SourceStatus(
        attempted=git.head, applied=applied, reason=reason, message=message, problems=problems
    )


def _findings(loaded: Loaded | None) -> tuple[Finding, ...]:
    return tuple(_finding(one) for one in loaded.problems) if loaded is not None else ()


def _finding(one: Problem) -> Finding:
    message = f"{one.message} {one.mend}".strip()
    return Finding(one.path, one.line, one.column, message, one.severity)
