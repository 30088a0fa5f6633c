"""The repository that the user stands in, read only: the other side of a plan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from rota.errors import Retryable, Stalled
from rota.gitrepo.git import Deadlines, Git, GitFailed, GitInterrupted
from rota.gitrepo.objects import Unreadable, is_commit_id, read_blobs, read_commit, read_tree
from rota.gitrepo.trees import Checkout


class LocalRepository:
    """A normal or bare repository on this machine: `folder` is in its work tree, or is its directory.

    Only objects and refs are read. Nothing that the repository configures is run, so whose it is does not
    matter, and no server is asked, even where a partial clone would. `deadline` is in seconds per command.
    """

    def __init__(self, folder: Path, deadline: float = Deadlines().local) -> None:
        """Raises Stalled("NotARepository")."""
        self._deadline = deadline
        self._git = self._opened(folder)

    def resolve(self, revision: str) -> str:
        """The id of the commit that `revision` names: a branch, a tag, an id, HEAD~1.

        Raises Stalled("RevisionMissing").
        """
        with self._reading(revision):
            question = ("--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
            return self._git.run("rev-parse", *question, deadline=self._deadline).decode().strip()

    def checkout(self, commit: str) -> Checkout:
        """The files of `commit`, a full id. Raises Stalled("RevisionMissing"), later from `read` too."""
        assert is_commit_id(commit), f"not a commit id: {commit!r}"
        with self._reading(commit):
            entries = read_tree(self._git, commit, self._deadline)

        def blobs(blob_ids: list[str]) -> dict[str, bytes]:
            with self._reading(commit):
                return read_blobs(self._git, blob_ids, self._deadline)

        return Checkout(commit, entries, blobs)

    def committer_time(self, commit: str) -> datetime:
        """When `commit`, a full id, was committed; the zone is the committer's. Raises as `checkout`."""
        assert is_commit_id(commit), f"not a commit id: {commit!r}"
        with self._reading(commit):
            return read_commit(self._git, commit, self._deadline).committed_at

    def _opened(self, folder: Path) -> Git:
        # Looked for here, since git's own discovery refuses a directory of another owner, as the work tree in
        # a build container often is. That guards against commands in a configuration; none of them is run.
        for place in (folder.absolute(), *folder.absolute().parents):
            for candidate in (place / ".git", place):
                if not (candidate.is_file() or (candidate / "HEAD").is_file()):
                    continue
                git = Git(candidate, environment={"GIT_ALLOW_PROTOCOL": ""})
                try:
                    git.run("rev-parse", "--git-dir", deadline=self._deadline)
                except GitFailed:
                    continue
                return git
        what = f"{folder} is not in a git repository. Go to one, or name it with --repo."
        raise Stalled("NotARepository", what)

    @contextmanager
    def _reading(self, revision: str) -> Iterator[None]:
        try:
            yield
        except GitInterrupted as failure:
            raise Retryable(f"The repository cannot be read: {failure.why}. Try again.") from failure
        except (GitFailed, Unreadable, ValueError) as error:  # ValueError: no program takes a NUL
            raise Stalled(
                "RevisionMissing",
                f"{revision!r} names no commit that this repository holds whole. "
                "Fetch it first; a shallow or partial clone holds only a part.",
            ) from error
