"""The repository as the daemon follows it: has it moved, and what does it say now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rota.errors import Stalled
from rota.gitrepo.credentials import Credentials
from rota.gitrepo.git import Deadlines, Git, GitFailed
from rota.gitrepo.mirror import Mirror, Rejected
from rota.gitrepo.objects import read_blobs, read_commit, read_files, read_tree
from rota.gitrepo.trees import Checkout


@dataclass(frozen=True, slots=True)
class Poll:
    """Where the two branches stand on the server: commit ids; `status` is None before the first status."""

    head: str
    status: str | None


class Source:
    """The branch `branch` of the repository at `url`, read through a mirror in `directory`.

    For the thread of the git worker; a checkout may be read from any. Every call raises Retryable for what
    may pass (network, server, credentials, disk) and Stalled for what will not (a branch that is gone,
    unsafe objects).
    """

    def __init__(
        self,
        url: str,
        branch: str,
        status_branch: str,
        directory: Path,
        *,
        credentials: Credentials | None = None,
        deadlines: Deadlines | None = None,
    ) -> None:
        """Raises Stalled for a URL or a branch name that cannot be used. Asks no server yet."""
        self.mirror = Mirror(url, directory, credentials, deadlines)
        self._branch = branch
        self._status_branch = status_branch
        for name in (branch, status_branch):
            check_branch(name, self.mirror.deadlines.local)
        if branch == status_branch:
            raise Stalled(
                "UnsupportedBranch",
                f"The branch {branch} cannot hold both manifests and status: name another --status-branch.",
            )

    def poll(self) -> Poll:
        """Ask the server for both tips, in one request. Raises Stalled("BranchMissing") without `branch`."""
        head, status = self.mirror.tips(self._branch, self._status_branch)
        if head is None:
            raise Stalled(
                "BranchMissing",
                f"The branch {self._branch} does not exist in {self.mirror.url}. "
                "Restore it, or name another --branch.",
            )
        return Poll(head, status)

    def checkout(self, commit: str) -> Checkout:
        """The files of `commit`, a full id as `poll` gives it; fetched only if it is not here yet."""

        def attempt() -> Checkout:
            self._require(commit)
            entries = read_tree(self.mirror.git, commit, self.mirror.deadlines.local)
            return Checkout(commit, entries, lambda blob_ids: self._blobs(commit, blob_ids))

        return self.mirror.mended(attempt)

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `new` was made on top of `old`; False says that history was rewritten in between."""

        def attempt() -> bool:
            self._require(new)
            return self.mirror.is_ancestor(old, new)

        return self.mirror.mended(attempt)

    def read_files(self, commit: str, prefix: str = "") -> dict[str, bytes]:
        """The files of `commit` of the status branch by path, or those in the folder `prefix`."""

        def attempt() -> dict[str, bytes]:
            self.mirror.require_tip(commit, self._status_branch)
            return read_files(self.mirror.git, commit, self.mirror.deadlines.local, prefix)

        return self.mirror.mended(attempt)

    def committed_at(self, commit: str) -> datetime:
        """When `commit` of the status branch was committed."""

        def attempt() -> datetime:
            self.mirror.require_tip(commit, self._status_branch)
            return read_commit(self.mirror.git, commit, self.mirror.deadlines.local).committed_at

        return self.mirror.mended(attempt)

    def rehearse_push(self, tips: Poll) -> None:
        """Ask the server whether the status branch may be pushed. Raises Stalled or Retryable where not."""
        commit = tips.status or tips.head
        try:
            self.mirror.push(commit, self._status_branch, rehearse=True)
        except Rejected as rejected:
            raise rejected.failure from rejected

    def _require(self, commit: str) -> None:
        self.mirror.require_history(commit, self._branch)

    def _blobs(self, commit: str, blob_ids: list[str]) -> dict[str, bytes]:
        def attempt() -> dict[str, bytes]:
            self._require(commit)
            return read_blobs(self.mirror.git, blob_ids, self.mirror.deadlines.local)

        return self.mirror.mended(attempt)


def check_branch(name: str, deadline: float) -> None:
    """Raise Stalled("UnsupportedBranch") if git takes no branch of that name; `deadline` in seconds."""
    try:
        Git().run("check-ref-format", f"refs/heads/{name}", deadline=deadline)
    except (GitFailed, ValueError) as error:  # ValueError: no program takes a NUL
        what = f"{name!r} is not a branch name. Write it as in main or rota/status."
        raise Stalled("UnsupportedBranch", what) from error
