"""Reading a repository's objects by plumbing: whole trees, many blobs with one command, a commit's header.

Everything here raises `Unreadable` when the repository does not hold what was asked for, or holds it broken,
and lets GitInterrupted through, which tells nothing about the repository.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal

from rota.gitrepo.git import Git, GitFailed
from rota.manifest.tree import Entry

_Kind = Literal["file", "symlink", "submodule"]

_KINDS: dict[str, _Kind] = {"120000": "symlink", "160000": "submodule"}
_COMMIT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_WHEN = re.compile(
    r"^committer .*> (?P<seconds>-?\d+) (?P<sign>[+-])(?P<hours>\d\d)(?P<minutes>\d\d)$", re.MULTILINE
)


class Unreadable(Exception):
    """An object is missing or broken."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What is read of a commit: its message, and when it was committed, in the committer's own zone."""

    id: str
    message: str
    committed_at: datetime

    def trailer(self, name: str) -> str | None:
        """The value of the last `NAME: value` line in the last paragraph of the message."""
        lines = self.message.rstrip().rpartition("\n\n")[2].splitlines()
        values = [line.removeprefix(f"{name}: ") for line in lines if line.startswith(f"{name}: ")]
        return values[-1] if values else None


def is_commit_id(text: str) -> bool:
    """Whether `text` is a full object id; what is not must never reach git as a revision."""
    return _COMMIT_ID.fullmatch(text) is not None


def read_tree(git: Git, commit: str, deadline: float, prefix: str = "") -> tuple[Entry, ...]:
    """All files of `commit`, or those in the folder `prefix`. What is not UTF-8 in a path shows escaped."""
    paths = ("--", f"{prefix.rstrip('/')}/") if prefix else ()
    listing = _run(git, "ls-tree", "-r", "-l", "-z", "--full-tree", commit, *paths, deadline=deadline)
    return tuple(_entry(line) for line in listing.decode("utf-8", "backslashreplace").split("\0") if line)


def read_blobs(git: Git, blob_ids: Iterable[str], deadline: float) -> dict[str, bytes]:
    """The contents of `blob_ids` by id, through one process."""
    wanted = list(dict.fromkeys(blob_ids))
    if not wanted:
        return {}
    question = "".join(f"{blob_id}\n" for blob_id in wanted).encode()
    answer = _run(git, "cat-file", "--batch", "--buffer", deadline=deadline, stdin=question)
    found: dict[str, bytes] = {}
    at = 0
    for blob_id in wanted:
        end = answer.find(b"\n", at)
        header = answer[at:end].decode("utf-8", "replace").split(" ")
        if len(header) != 3 or header[:2] != [blob_id, "blob"]:
            raise Unreadable(f"blob {blob_id} is missing")
        begin = end + 1
        at = begin + int(header[2]) + 1
        found[blob_id] = answer[begin : at - 1]
    return found


def read_files(git: Git, commit: str, deadline: float, prefix: str = "") -> dict[str, bytes]:
    """Path and content of all files of `commit`, or of those in the folder `prefix`; symlinks left out."""
    entries = [entry for entry in read_tree(git, commit, deadline, prefix) if entry.kind == "file"]
    blobs = read_blobs(git, (entry.blob_id for entry in entries), deadline)
    return {entry.path: blobs[entry.blob_id] for entry in entries}


def read_commit(git: Git, commit: str, deadline: float) -> Commit:
    """The message and the committer's time of `commit`."""
    header, _, message = _run(git, "cat-file", "commit", commit, deadline=deadline).partition(b"\n\n")
    found = _WHEN.search(header.decode("utf-8", "replace"))
    if found is None:
        raise Unreadable(f"commit {commit} has no committer")
    offset = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"]))
    zone = timezone(-offset if found["sign"] == "-" else offset)
    committed_at = datetime.fromtimestamp(int(found["seconds"]), zone)
    return Commit(commit, message.decode("utf-8", "replace"), committed_at)


def blob_id(content: bytes) -> str:
    """The id that git gives to `content`."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _entry(line: str) -> Entry:
    meta, _, path = line.partition("\t")
    mode, _, object_id, size = meta.split()
    kind: _Kind = _KINDS.get(mode, "file")
    if kind == "submodule":
        return Entry(path, object_id, 0, kind)
    if not size.isdigit():
        # git writes BAD for a blob that it does not have
        raise Unreadable(f"blob {object_id} is missing")
    return Entry(path, object_id, int(size), kind)


def _run(git: Git, *arguments: str, deadline: float, stdin: bytes | None = None) -> bytes:
    try:
        return git.run(*arguments, deadline=deadline, stdin=stdin)
    except GitFailed as failure:
        raise Unreadable(failure.stderr.strip()) from failure
