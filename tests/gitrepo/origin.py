"""The other side: a real bare repository, and people who push to it."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_COMMITTER_DATE": "2026-06-01T06:50:00+0200",
}


def git(where: Path, *arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=where, input=stdin, env=_ENVIRONMENT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8", "replace").strip()


class Origin:
    """A bare repository at `path`, to which commits are added without a work tree."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        git(path, "init", "--bare", "--quiet", "-b", "main")

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def commit(
        self,
        files: Mapping[str, str | bytes],
        *,
        branch: str = "main",
        parent: str | None = None,
        message: str = "a change",
    ) -> str:
        """Commit exactly `files` on top of `parent`, or of nothing, and move the branch there by force."""
        listing = b"".join(
            b"100644 blob %s\t%s\0" % (self.blob(content).encode(), os.fsencode(path))
            for path, content in files.items()
        )
        return self.commit_index(listing, branch=branch, parent=parent, message=message)

    def commit_index(
        self, listing: bytes, *, branch: str = "main", parent: str | None = None, message: str = "a change"
    ) -> str:
        """As `commit`, of lines `MODE TYPE ID<TAB>PATH`, ended by NUL, for any mode and path."""
        index = {"GIT_INDEX_FILE": str(self.path / "test.index"), **_ENVIRONMENT}
        (self.path / "test.index").unlink(missing_ok=True)
        subprocess.run(
            ["git", "update-index", "-z", "--index-info"], cwd=self.path, input=listing, env=index, check=True
        )
        written = subprocess.run(
            ["git", "write-tree", "--missing-ok"], cwd=self.path, env=index, check=True, capture_output=True
        )
        parents = ["-p", parent] if parent else []
        tree = written.stdout.decode().strip()
        made = git(self.path, "commit-tree", tree, *parents, "-F", "-", stdin=message.encode())
        git(self.path, "update-ref", f"refs/heads/{branch}", made)
        return made

    def blob(self, content: str | bytes) -> str:
        stdin = content if isinstance(content, bytes) else content.encode()
        return git(self.path, "hash-object", "-w", "--stdin", stdin=stdin)

    def delete(self, branch: str) -> None:
        git(self.path, "update-ref", "-d", f"refs/heads/{branch}")

    def tip(self, branch: str) -> str:
        return git(self.path, "rev-parse", "--verify", f"refs/heads/{branch}")

    def count(self, branch: str) -> int:
        """How many commits the branch has."""
        return int(git(self.path, "rev-list", "--count", f"refs/heads/{branch}"))

    def hook(self, name: str, script: str) -> None:
        path = self.path / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
