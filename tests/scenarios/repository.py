"""Repositories with commit ids that never change: fixed names and dates, nobody's git configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "example-repo"
MONDAY_NOON = "2026-06-01T12:00:00+02:00"


class Repository:
    """A work tree at `path`, on the branch main."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, at: str = MONDAY_NOON, stdin: bytes = b"") -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_AUTHOR_NAME": "Ada",
            "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.org",
            "GIT_AUTHOR_DATE": at,
            "GIT_COMMITTER_DATE": at,
        }
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, input=stdin, env=environment, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def write(self, files: Mapping[str, str]) -> None:
        for name, content in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.path / name
        text = path.read_text()
        assert old in text, f"{name} does not say {old!r}"
        path.write_text(text.replace(old, new))

    def commit(self, message: str, at: str = MONDAY_NOON) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message, at=at)
        return self.git("rev-parse", "HEAD")

    def publish(self, files: Mapping[str, bytes], at: str, branch: str = "rota/status") -> str:
        """Put exactly `files` on an orphan branch, as the operator does."""
        seconds = int(datetime.fromisoformat(at).timestamp())
        stream = f"commit refs/heads/{branch}\ncommitter Ada <ada@example.org> {seconds} +0200\n".encode()
        stream += b"data 7\nstatus\n\n"
        for name, content in files.items():
            stream += b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(content), content)
        self.git("fast-import", "--quiet", "--force", stdin=stream)
        return self.git("rev-parse", branch)


def example(path: Path) -> Repository:
    """The example repository, committed on a Monday at noon."""
    shutil.copytree(EXAMPLE, path)
    repository = Repository(path)
    repository.commit("The shop, its hosts and its day")
    return repository
