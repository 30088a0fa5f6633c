"""The one git worker: a thread that polls, fetches, loads, and pushes the status.

Everything that touches the git server or the mirror happens here, so that no pass waits for it; the
rest sees its last result. Publications coalesce: only the newest is kept, and goes out when its
urgency allows.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum
from typing import Protocol

import structlog

from rota.clock import Clock
from rota.core.ledger import PinKey
from rota.errors import Retryable, Stalled
from rota.gitrepo.source import Source
from rota.gitrepo.status_branch import StatusBranch, StatusTip
from rota.manifest.load import Loaded, Loader

log = structlog.get_logger()

JITTER = 0.1
LONGEST_BACK_OFF = 300.0
JOIN_SECONDS = 15.0


class Urgency(IntEnum):
    """How soon a publication goes out; `Pace` has the seconds since the last push for each."""

    CLAIM = 0
    """A pin that is to be acted on."""
    VERDICT = 1
    """The fleet became Ready or Degraded, or ceased to be."""
    CONTENT = 2
    STATE = 3
    """Only the ledger changed."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two pushes, by the urgency of the second."""

    content: float = 30.0

    def seconds(self, urgency: Urgency) -> float:
        """A claim goes out at once, a verdict after 5 s at most, the ledger alone 20 times as rarely."""
        return (0.0, min(5.0, self.content), self.content, 20 * self.content)[urgency]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """The files of the status branch as a pass wants them; `pins` is what they record.

    `urgency` judges them against the files that stand on the branch, when the push comes up.
    """

    files: Mapping[str, bytes]
    subject: str
    trailers: Mapping[str, str]
    at: datetime
    urgency: Callable[[Mapping[str, bytes]], Urgency]
    pins: frozenset[PinKey] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class GitView:
    """What the git worker knows. `polls` counts completed polls, failed ones too.

    `reason` is a CamelCase word and `message` a sentence while the server or the branch is in trouble.
    `head` is the newest commit and `loaded` what it says; `rewritten` that it does not build on the one
    before. `last_good` is the revision that was applied before this daemon started, where the newest one
    is invalid. `tip` is the status branch as it was found first, `ready` that it was looked at; `frozen`
    says why this daemon may no longer act. `published` is what is known to stand on the branch, `pushed`
    the commit that the last push made. `claimed`: the branch's tip is this operator's own.
    """

    polls: int = 0
    head: str = ""
    loaded: Loaded | None = None
    last_good: Loaded | None = None
    rewritten: bool = False
    reason: str = ""
    message: str = ""
    ready: bool = False
    tip: StatusTip | None = None
    frozen: str = ""
    push_reason: str = ""
    push_message: str = ""
    published: Publication | None = None
    pushed: str = ""
    claimed: bool = False


class Repository(Protocol):
    """What a pass needs of the repository. `GitWorker` follows a real one, a simulation has its own."""

    def view(self) -> GitView: ...

    def publish(self, publication: Publication) -> None:
        """Have `publication` pushed when its urgency allows; a newer one replaces it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GitOptions:
    """`interval` seconds between polls; manifests under the folder `path`; `read_only`: nothing is pushed.

    `applied_of` finds, in the status branch, the revision that was applied last.
    """

    applied_of: Callable[[StatusTip], str | None]
    interval: float = 30.0
    path: str = ""
    pace: Pace = Pace()
    read_only: bool = False


@dataclass(slots=True)
class _Timing:
    poll_at: float = 0.0
    push_at: float = 0.0
    last_push: float = float("-inf")
    poll_failures: int = 0
    push_failures: int = 0
    jitter: random.Random = field(default_factory=random.Random)


class GitWorker:
    """Runs `source` and `branch` on a thread of its own. `on_change` is called when there is news."""

    def __init__(
        self,
        source: Source,
        branch: StatusBranch,
        clock: Clock,
        on_change: Callable[[], None],
        options: GitOptions,
    ) -> None:
        self._source = source
        self._branch = branch
        self._clock = clock
        self._on_change = on_change
        self._options = options
        self._loader = Loader()
        self._timing = _Timing()
        self._lock = threading.Condition()
        self._view = GitView()
        self._wanted: Publication | None = None
        self._woken = False
        self._hurried = False
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="rota-git", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Poll now: a webhook says that there may be something new. Bursts are one poll."""
        with self._lock:
            self._woken = True
            self._lock.notify_all()

    def publish(self, publication: Publication) -> None:
        """Have `publication` pushed when its urgency allows; a newer one replaces it."""
        with self._lock:
            self._wanted = publication
            self._lock.notify_all()

    def view(self) -> GitView:
        with self._lock:
            return self._view

    def flush(self, seconds: float) -> None:
        """Push what is wanted without regard to its pace: one try, awaited for at most `seconds`."""
        with self._lock:
            failures = self._timing.push_failures
            self._hurried = True
            self._lock.notify_all()
            self._lock.wait_for(
                lambda: self._blocked() or self._stopped or self._timing.push_failures > failures,
                timeout=seconds,
            )
            self._hurried = False

    def close(self) -> None:
        with self._lock:
            self._stopped = True
            self._lock.notify_all()
        if self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._stopped or self._due(), timeout=self._seconds_to_due())
                if self._stopped:
                    return
                polls = self._woken or self._clock.now().mono >= self._timing.poll_at
                self._woken = False
                wanted = self._wanted if self._push_due() else None
            try:
                if polls:
                    self._poll()
                if wanted is not None:
                    self._push(wanted)
            except Exception:  # a bug must not end the thread: it is all that follows the repository
                log.exception("the git worker failed. Please report this")
                self._timing.poll_at = self._timing.push_at = self._clock.now().mono + self._options.interval
                self._timing.push_failures += 1
                self._set(self._view)

    def _due(self) -> bool:
        return self._woken or self._clock.now().mono >= self._timing.poll_at or self._push_due()

    def _push_due(self) -> bool:
        return self._clock.now().mono >= self._push_time()

    def _push_time(self) -> float:
        """When what is wanted may be pushed; never where nothing is wanted or nothing may be."""
        if self._wanted is None or self._blocked():
            return float("inf")
        if self._hurried:
            return 0.0
        return max(
            self._timing.push_at,
            self._timing.last_push + self._options.pace.seconds(self._urgency(self._wanted)),
        )

    def _blocked(self) -> bool:
        """Whether nothing waits to be pushed, or nothing may be."""
        view = self._view
        return self._wanted is None or self._options.read_only or not view.ready or bool(view.frozen)

    def _urgency(self, wanted: Publication) -> Urgency:
        view = self._view
        if not view.claimed:
            return Urgency.CLAIM
        if view.published is not None:
            return wanted.urgency(view.published.files)
        return wanted.urgency(view.tip.files if view.tip is not None else {})

    def _seconds_to_due(self) -> float:
        at = min(self._timing.poll_at, self._push_time())
        return max(at - self._clock.now().mono, 0.0) + 0.001

    def _poll(self) -> None:
        """One poll: where the branches stand, and what the head says where it has moved."""
        before = self._view
        try:
            tips = self._source.poll()
            view = self._look_at_status(before, tips.status)
            if before.head != tips.head:
                view = self._load(view, tips.head)
            self._timing.poll_failures = 0
            view = replace(view, reason="", message="")
        except Retryable as error:
            self._timing.poll_failures += 1
            view = replace(before, reason="GitUnreachable", message=str(error))
        except Stalled as error:
            self._timing.poll_failures += 1
            view = replace(before, reason=error.reason, message=str(error))
        self._timing.poll_at = self._clock.now().mono + self._poll_delay()
        self._set(replace(view, polls=before.polls + 1))

    def _load(self, view: GitView, head: str) -> GitView:
        """Read the manifests of `head`, and once those of the revision that was applied before."""
        rewritten = bool(view.head) and not self._source.is_ancestor(view.head, head)
        loaded = self._loader.load(self._source.checkout(head), self._options.path)
        last_good = view.last_good
        if loaded.fleet is None and view.loaded is None and view.tip is not None:
            last_good = self._load_applied(view.tip)
        return replace(view, head=head, loaded=loaded, last_good=last_good, rewritten=rewritten)

    def _load_applied(self, tip: StatusTip) -> Loaded | None:
        applied = None
        try:
            applied = self._options.applied_of(tip)
            return self._loader.load(self._source.checkout(applied), self._options.path) if applied else None
        except (Retryable, Stalled) as error:
            log.warning("the revision applied last cannot be read", revision=applied, why=str(error))
            return None

    def _look_at_status(self, view: GitView, tip: str | None) -> GitView:
        """Read the status branch the first time; later only notice when another operator wrote it."""
        if self._options.read_only:
            return view if view.ready else replace(view, ready=True, tip=self._branch.read())
        try:
            if not view.ready:
                first = self._branch.read()
                self._branch.observe_tip(first.commit if first is not None else None)
                claimed = first is not None and first.operator_id == self._branch.operator_id
                return replace(view, ready=True, tip=first, claimed=claimed)
            self._branch.observe_tip(tip)
        except Stalled as error:
            if error.reason != "AnotherOperator":
                raise
            return replace(view, frozen=str(error), ready=True)
        return view

    def _poll_delay(self) -> float:
        """The interval ± 10 %; after failures longer each time, up to 5 minutes."""
        base = self._options.interval
        if self._timing.poll_failures > 1:
            base = min(
                self._options.interval * 2.0 ** min(self._timing.poll_failures - 1, 10), LONGEST_BACK_OFF
            )
        return self._jittered(max(base, self._options.interval))

    def _jittered(self, seconds: float) -> float:
        return seconds * (1 - JITTER + 2 * JITTER * self._timing.jitter.random())

    def _push(self, wanted: Publication) -> None:
        view = self._view
        try:
            published = self._branch.publish(wanted.files, wanted.subject, wanted.trailers, wanted.at)
            if published.changed:
                log.info("status pushed", commit=published.commit[:12], subject=wanted.subject)
            self._timing.push_failures = 0
            pushed = published.commit if published.changed else view.pushed
            view = replace(
                view, published=wanted, pushed=pushed, claimed=True, push_reason="", push_message=""
            )
        except Retryable as error:
            view = replace(view, push_reason="StatusPushFailed", push_message=str(error))
        except Stalled as error:
            if error.reason == "AnotherOperator":
                view = replace(view, frozen=str(error))
            else:
                view = replace(view, push_reason=error.reason, push_message=str(error))
        now = self._clock.now().mono
        self._timing.last_push = now
        if view.push_reason:
            log.warning("the status was not pushed", reason=view.push_reason, why=view.push_message)
            self._timing.push_failures += 1
            delay = min(5.0 * 2.0 ** min(self._timing.push_failures - 1, 10), LONGEST_BACK_OFF)
            self._timing.push_at = now + self._jittered(delay)
        with self._lock:
            if self._wanted is wanted and not view.push_reason:
                self._wanted = None
        self._set(view)

    def _set(self, view: GitView) -> None:
        with self._lock:
            self._view = view
            self._lock.notify_all()
        self._on_change()
