"""The bare mirror: a disposable copy of what Rota needs of the repository, fetched, pushed from and rebuilt.

No work tree, no hooks, no configuration but the hardened one. Any thread may read, one fetches and pushes,
and one program uses the directory: a lock file that is found is what a killed run left.
"""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rota.errors import Retryable, Stalled
from rota.gitrepo.credentials import Credentials
from rota.gitrepo.failures import printable, push_failure, push_refused, server_failure
from rota.gitrepo.fast_import import Draft
from rota.gitrepo.git import Deadlines, Git, GitError, GitFailed
from rota.gitrepo.objects import Unreadable, is_commit_id
from rota.gitrepo.url import check_url

T = TypeVar("T")

_TIDY_EVERY = 20  # fetches and pushes, the first of a run included: asking git costs some milliseconds

# What a server says when two pushes met, or when its disk was full: passing, unlike a refusal.
_PASSING = re.compile(
    r"cannot lock|failed to (lock|update)|unpacker error|already exists|remote failed|fetch first|non-fast"
)


class Rejected(Exception):
    """The server did not take a push, and nothing of it stays there. `failure` says what that means if the
    branch turns out not to have moved meanwhile."""

    def __init__(self, failure: Retryable | Stalled) -> None:
        super().__init__(str(failure))
        self.failure = failure


class Mirror:
    """A bare repository in `directory`/mirror.git that follows single branches of `url`."""

    def __init__(
        self,
        url: str,
        directory: Path,
        credentials: Credentials | None = None,
        deadlines: Deadlines | None = None,
    ) -> None:
        """Raises Stalled("UnsupportedUrl"). Touches neither disk nor network yet."""
        check_url(url)
        known = credentials or Credentials()
        settings, environment = known.settings(url), {"GIT_SSH_COMMAND": known.ssh_command()}
        self.url = url
        self.deadlines = deadlines or Deadlines()
        self.path = directory / "mirror.git"
        self._exchanges = 0
        self._built = 0
        # Held to fetch and to rebuild. Readers do without, and wait only if what they read is not there.
        self._writing = threading.RLock()
        self.git = Git(self.path)
        self._exchange = Git(self.path, settings=settings, environment=environment, redact=known.redact)
        # A question to the server needs no repository, and so works while the mirror is broken.
        self._question = Git(settings=settings, environment=environment, redact=known.redact)

    def tips(self, *branches: str) -> list[str | None]:
        """The commits that `branches` point at on the server, None for one that is not there; one request."""
        refs = [f"refs/heads/{branch}" for branch in branches]
        try:
            answer = self._question.run("ls-remote", "--", self.url, *refs, deadline=self.deadlines.poll)
        except GitError as failure:
            raise server_failure("could not be asked for its branches", self.url, failure) from failure
        lines = (line.split("\t") for line in answer.decode("utf-8", "replace").splitlines())
        # The patterns of ls-remote also match at the end of a longer name.
        found = {line[1]: line[0] for line in lines if len(line) == 2 and is_commit_id(line[0])}
        return [found.get(ref) for ref in refs]

    def require_history(self, commit: str, branch: str) -> None:
        """See that `commit` is here, and all before it; fetch `branch` if it is not.

        Raises Retryable when the branch does not lead to the commit any more, Stalled when it is gone.
        """
        self._require(commit, branch, "refs/rota/source")

    def require_tip(self, commit: str, branch: str) -> None:
        """As `require_history`, for a branch of which only the last commit counts, however many there are."""
        self._require(commit, branch, "refs/rota/status", "--depth=1")

    def add(self, draft: Draft) -> str:
        """Make the commit that `draft` describes, here only, and return its id."""
        with self._writing:
            self._create()
        arguments = ("fast-import", "--quiet", "--force", "--done", "--date-format=raw")
        stdin = draft.stream("refs/rota/draft")  # the ref keeps the commit from being packed away unpushed
        try:
            return self.git.run(*arguments, deadline=self.deadlines.local, stdin=stdin).decode().strip()
        except GitFailed as failure:
            raise Unreadable(failure.stderr.strip()) from failure

    def push(self, commit: str, branch: str, *, rehearse: bool = False) -> None:
        """Move `branch` to `commit` on the server, never by force; only ask whether it may with `rehearse`.

        Raises Rejected when the server says no, Stalled when the right is missing, and Retryable when the
        outcome is unknown: the connection broke or the deadline passed, before or after the server acted.
        """
        refspec = f"{commit}:refs/heads/{branch}"
        options = ["--porcelain", "--no-follow-tags", "--no-verify", *["--dry-run"][:rehearse]]
        try:
            self._exchange.run("push", *options, "--", self.url, refspec, deadline=self.deadlines.push)
        except GitError as failure:
            verdict = re.search(rb"^!\t[^\t]*\t(.*)$", failure.stdout, re.MULTILINE)
            if verdict is None:
                raise push_failure(self.url, failure) from failure
            said = verdict[1].decode("utf-8", "replace")
            raise Rejected(self._rejection(said, failure.stderr)) from failure

    def mended(self, attempt: Callable[[], T]) -> T:
        """The result of `attempt`; if the mirror proves unreadable it is built anew and tried once more."""
        built = self._built
        try:
            try:
                return attempt()
            except Unreadable:
                with self._writing:
                    if self._built == built:  # else another thread found the same, and has done it
                        self._discard()
                        self._built += 1
                    return attempt()
        except Unreadable as broken:
            raise Retryable(f"The mirror {self.path} stays unreadable: {broken}.") from broken
        except GitError as failure:
            raise Retryable(f"The mirror {self.path} did not answer: {failure.why}.") from failure
        except OSError as error:
            raise Retryable(f"The mirror {self.path}: {error.strerror}. Check the disk.") from error

    def tidy(self) -> None:
        """Let git pack what has piled up, if it is enough. A failure costs disk space only, so it is none."""
        self._exchanges += 1
        if self._exchanges % _TIDY_EVERY != 1:
            return
        try:
            self.git.run("gc", "--auto", "--quiet", deadline=self.deadlines.fetch)
        except GitError:
            return

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `new`, which must be here, contains `old`; False too when `old` is not known any more."""
        try:
            self.git.run("merge-base", "--is-ancestor", "--", old, new, deadline=self.deadlines.local)
        except GitFailed as failure:
            if failure.status == 1 or not self._has(old):
                return False
            raise Unreadable(failure.stderr.strip()) from failure
        return True

    def _require(self, commit: str, branch: str, into: str, *depth: str) -> None:
        before = self._exchanges
        if self._has(commit):
            return
        with self._writing:
            # What another thread fetched while this one waited may be what was missing.
            if self._exchanges == before or not self._has(commit):
                self._fetch(commit, branch, into, *depth)

    def _fetch(self, commit: str, branch: str, into: str, *depth: str) -> None:
        self._create()
        options = ("--quiet", "--force", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance")
        refspec = f"+refs/heads/{branch}:{into}"
        deadline = self.deadlines.fetch
        try:
            self._exchange.run("fetch", *options, *depth, "--", self.url, refspec, deadline=deadline)
        except GitError as failure:
            if isinstance(failure, GitFailed):
                self._expect_sound(failure)
            raise server_failure("could not be fetched", self.url, failure) from failure
        self.tidy()
        if not self._has(commit):
            self._expect_sound()
            raise Retryable(f"The branch {branch} of {self.url} left {commit[:12]} while it was fetched.")

    def _has(self, commit: str) -> bool:
        assert is_commit_id(commit), f"not a commit id: {commit!r}"
        try:
            self.git.run("cat-file", "-e", f"{commit}^{{commit}}", deadline=self.deadlines.local)
        except GitFailed:
            return False
        return True

    def _create(self) -> None:
        if (self.path / "HEAD").exists():
            return
        # Built beside and moved into place: a run killed here leaves no half of a repository behind.
        fresh = self.path.with_name("mirror.new")
        self._discard()
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.parent.mkdir(parents=True, exist_ok=True)
        try:
            Git(fresh).run("init", "--bare", "--quiet", "--template=", deadline=self.deadlines.local)
        except GitFailed as failure:
            raise Retryable(f"The mirror {self.path} cannot be made: {failure.stderr.strip()}.") from failure
        fresh.rename(self.path)

    def _discard(self) -> None:
        if self.path.is_dir():
            # Moved away first: a git that still writes there must not keep the place from being cleared.
            old = self.path.with_name("mirror.old")
            shutil.rmtree(old, ignore_errors=True)
            self.path.rename(old)
            shutil.rmtree(old, ignore_errors=True)
        else:
            self.path.unlink(missing_ok=True)

    def _expect_sound(self, failure: GitFailed | None = None) -> None:
        """Raise Unreadable if the mirror itself is the likely cause of `failure`, not the server."""
        if any(self.path.rglob("*.lock")):
            raise Unreadable("a killed run left a lock file") from failure
        options = ("--connectivity-only", "--no-dangling", "--no-progress")
        try:
            self.git.run("fsck", *options, deadline=self.deadlines.fetch)
        except GitFailed as unsound:
            raise Unreadable(unsound.stderr.strip()) from unsound

    def _rejection(self, verdict: str, stderr: str) -> Retryable | Stalled:
        remarks = re.findall(r"^remote:[ \t]*(\S.*?)\s*$", stderr, re.MULTILINE)
        why = printable("; ".join([verdict, *remarks]))
        if _PASSING.search(verdict):
            return Retryable(f"The repository {self.url} did not take the status branch: {why}.")
        return push_refused(self.url, why)
