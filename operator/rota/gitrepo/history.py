"""What the status branch said before: its commits with their trailers, by one plumbing command."""

from __future__ import annotations

from datetime import datetime

from rota.gitrepo.local import LocalRepository
from rota.gitrepo.objects import Commit, Unreadable, read_commit


class LocalHistory(LocalRepository):
    """A repository on this machine, and the past of its branches as far as this clone reaches."""

    def commits(self, newest: str, most: int) -> tuple[Commit, ...]:
        """`newest`, a full id, and what came before it, newest first, at most `most`. Raises as `checkout`.

        `rev-list` heeds no configuration that could run a program, as `log.showSignature` does.
        """
        arguments = (f"--max-count={most}", "--first-parent", "--format=%x00%cI%x00%B%x00", newest, "--")
        with self._reading(newest):
            listing = self._git.run("rev-list", *arguments, deadline=self._deadline)
        words = listing.decode("utf-8", "replace").split("\0")
        return tuple(
            Commit(head.split()[-1], message, datetime.fromisoformat(at))
            for head, at, message in zip(words[0:-1:3], words[1::3], words[2::3], strict=True)
        )

    def commit(self, commit: str) -> Commit | None:
        """A commit by its full id; None where this clone does not hold it (any more)."""
        with self._reading(commit):
            try:
                return read_commit(self._git, commit, self._deadline)
            except Unreadable:
                return None

    def is_shallow(self) -> bool:
        """Whether older commits were left out when it was cloned."""
        with self._reading("HEAD"):
            asked = self._git.run("rev-parse", "--is-shallow-repository", deadline=self._deadline)
        return asked.strip() == b"true"
