"""The status branch: an orphan branch with one writer, pushed without force.

The branch is the lock. A writer goes on only from a tip that it wrote or took over; any other tip is
somebody's who does the same work, and raises Stalled("AnotherOperator") until the operator is restarted.
Since every publication starts from the server's tip and states all files, a run that is killed between its
commit and its push loses nothing and doubles nothing: the next one writes what is true by then.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from rota.errors import Retryable, Stalled
from rota.gitrepo.fast_import import Draft, message
from rota.gitrepo.mirror import Mirror, Rejected
from rota.gitrepo.objects import Commit, blob_id, read_commit, read_files, read_tree

OPERATOR_ID = "Operator-Id"

_WORD = re.compile(r"[!-~]+")
_TRIES = 3  # pushes of one publication; a further one follows only upon an own push that arrived late
_REMEMBERED = 16  # own commits; more than can be under way, and what a late poll may still show


@dataclass(frozen=True, slots=True)
class StatusTip:
    """What the status branch says: `files` by path; `operator_id` is None if no operator wrote the commit."""

    commit: str
    operator_id: str | None
    committed_at: datetime
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Published:
    """The tip after a publication; not `changed` when it already said the same."""

    commit: str
    changed: bool


class StatusBranch:
    """Reads and writes the branch `branch` in the repository of `mirror`, in the name of `operator_id`.

    A tip that is found at first is taken over if it carries the same id, and with `take_over` whoever wrote
    it; found later, it is another operator's even under the same id, as two daemons with the same settings
    would produce it. For the thread of the mirror. Every call raises Retryable for what may pass.
    """

    def __init__(self, mirror: Mirror, branch: str, operator_id: str, *, take_over: bool = False) -> None:
        """`operator_id` is one word of printable ASCII."""
        assert _WORD.fullmatch(operator_id), f"not one word of printable ASCII: {operator_id!r}"
        self._mirror = mirror
        self._branch = branch
        self._operator_id = operator_id
        self._take_over = take_over
        self._sighted = False
        self._own: deque[str] = deque(maxlen=_REMEMBERED)

    def read(self) -> StatusTip | None:
        """The tip with all its files, whoever wrote it; None without a branch.

        The first tip read counts as taken over where the rules allow it: a commit that another writer adds
        after it is not.
        """

        def attempt() -> StatusTip | None:
            commit = self._remote_tip()
            if commit is None:
                return None
            tip = self._commit(commit)
            files = read_files(self._mirror.git, commit, self._mirror.deadlines.local)
            if not self._sighted and self._may_take(tip):
                self._remember(commit)
            return StatusTip(commit, tip.trailer(OPERATOR_ID), tip.committed_at, files)

        return self._mirror.mended(attempt)

    @property
    def operator_id(self) -> str:
        return self._operator_id

    def observe_tip(self, commit: str | None) -> None:
        """Take note of where a poll saw the branch. Raises Stalled("AnotherOperator")."""
        self._mirror.mended(lambda: self._judge(commit))

    def publish(
        self, files: Mapping[str, bytes], subject: str, trailers: Mapping[str, str], at: datetime
    ) -> Published:
        """Make the branch hold exactly `files`, in one commit of the time `at`, and none if it does already.

        `subject` and `trailers` become the message, the operator's id is added. Raises
        Stalled("AnotherOperator"), Stalled("StatusPushRefused"), and Retryable, after which it is not known
        whether the commit arrived; calling again is safe.
        """
        text = message(subject, {**trailers, OPERATOR_ID: self._operator_id})
        return self._mirror.mended(lambda: self._publish(files, text, at))

    def _publish(self, files: Mapping[str, bytes], text: str, at: datetime) -> Published:
        for _ in range(_TRIES):
            parent = self._remote_tip()
            self._judge(parent)
            present = self._present(parent)
            ids = {path: blob_id(content) for path, content in files.items()}
            if parent is not None and ids == present and self._is_ours(parent):
                return Published(parent, changed=False)
            stored = set(present.values())
            known = {path: identity for path, identity in ids.items() if identity in stored}
            draft = Draft(parent=parent, message=text, at=at, files=files, known=known)
            commit = self._mirror.add(draft)
            if self._push(commit, parent):
                self._mirror.tidy()
                return Published(commit, changed=True)
        raise Retryable(f"The branch {self._branch} of {self._mirror.url} moved during {_TRIES} pushes.")

    def _push(self, commit: str, parent: str | None) -> bool:
        """Whether `commit` became the tip; False if an own earlier push did, to be built on."""
        # Remembered before it is sent: whatever happens then, this commit is known as ours when it shows up.
        self._remember(commit)
        try:
            self._mirror.push(commit, self._branch)
        except Rejected as rejected:
            tip = self._remote_tip()
            if tip == parent:
                raise rejected.failure from rejected
            self._judge(tip)
            return tip == commit
        except Retryable:
            # It may have arrived all the same: the server is asked, and a push is never repeated blindly.
            if self._remote_tip() != commit:
                raise
        return True

    def _judge(self, commit: str | None) -> None:
        """Raise Stalled("AnotherOperator") unless this writer may go on from `commit`."""
        if commit is None or commit in self._own:
            # Also without a branch the first sight is over: a tip that shows up later is another's.
            self._sighted = True
            return
        tip = self._commit(commit)
        if self._sighted or not self._may_take(tip):
            raise self._another(tip)
        self._remember(commit)

    def _is_ours(self, commit: str) -> bool:
        """Whether the tip carries this operator's id: one that was taken over does only after a commit."""
        return self._commit(commit).trailer(OPERATOR_ID) == self._operator_id

    def _may_take(self, tip: Commit) -> bool:
        return self._take_over or tip.trailer(OPERATOR_ID) == self._operator_id

    def _remember(self, commit: str) -> None:
        self._sighted = True
        self._own.append(commit)

    def _remote_tip(self) -> str | None:
        return self._mirror.tips(self._branch)[0]

    def _commit(self, commit: str) -> Commit:
        self._mirror.require_tip(commit, self._branch)
        return read_commit(self._mirror.git, commit, self._mirror.deadlines.local)

    def _present(self, commit: str | None) -> dict[str, str]:
        """The blob ids of the files in `commit`."""
        if commit is None:
            return {}
        self._mirror.require_tip(commit, self._branch)
        entries = read_tree(self._mirror.git, commit, self._mirror.deadlines.local)
        return {entry.path: entry.blob_id for entry in entries}

    def _another(self, tip: Commit) -> Stalled:
        other = tip.trailer(OPERATOR_ID)
        where = f"The status branch {self._branch} of {self._mirror.url} is at commit {tip.id[:12]}"
        if other is None:
            what = f"which carries no {OPERATOR_ID} and so is no operator's"
            mend = "Name another --status-branch, or start with --take-over to go on from there."
        elif other == self._operator_id:
            what = f"written by another operator that also calls itself {other}"
            mend = "Two daemons seem to run with the same settings: stop one, then restart this one."
        else:
            what = f"written by the operator {other}, while this is {self._operator_id}"
            mend = "Give each its own --status-branch, or stop the other and start this one with --take-over."
        return Stalled("AnotherOperator", f"{where}, {what}. This one writes no more. {mend}")
