"""The two kinds of tree that the loader reads: a commit of a repository, and a plain folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rota.errors import Stalled
from rota.gitrepo.objects import blob_id
from rota.manifest.tree import Entry


@dataclass(frozen=True, slots=True)
class Checkout:
    """The files of one commit. Nothing is written anywhere: contents are read when asked for."""

    revision: str
    entries: tuple[Entry, ...]
    _blobs: Callable[[list[str]], Mapping[str, bytes]] = field(repr=False, compare=False)

    def read(self, entries: Iterable[Entry]) -> Mapping[str, bytes]:
        """Contents by blob id; a symlink's is its target, a submodule has none and is left out."""
        return self._blobs([entry.blob_id for entry in entries if entry.kind != "submodule"])


class FolderTree:
    """A folder as it lies on the disk, the files not yet committed included; dot-folders are left out.

    Listed once, when made. Symlinks are reported and never followed; sockets, pipes and devices do not count.
    """

    revision = ""

    def __init__(self, folder: Path) -> None:
        """Raises Stalled("FolderUnreadable")."""
        self._paths: dict[str, bytes] = {}
        root = os.fsencode(folder)
        try:
            self._entries = tuple(self._entry(root, name, linked) for name, linked in sorted(_walk(root)))
        except OSError as error:
            raise _unreadable(error) from error

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self._entries

    def read(self, entries: Iterable[Entry]) -> Mapping[str, bytes]:
        """Contents by blob id. Raises Stalled("FolderUnreadable"), for a file changed since too."""
        found: dict[str, bytes] = {}
        for entry in entries:
            try:
                content = _content(self._paths[entry.blob_id], entry.kind == "symlink")
            except OSError as error:
                raise _unreadable(error) from error
            if blob_id(content) != entry.blob_id:
                raise Stalled("FolderUnreadable", f"{entry.path} changed meanwhile. Run the command again.")
            found[entry.blob_id] = content
        return found

    def _entry(self, root: bytes, name: bytes, linked: bool) -> Entry:
        path = os.path.join(root, name)
        content = _content(path, linked)
        identity = blob_id(content)
        self._paths[identity] = path
        shown = name.decode("utf-8", "backslashreplace")
        return Entry(shown, identity, len(content), "symlink" if linked else "file")


def _walk(root: bytes, below: bytes = b"") -> Iterator[tuple[bytes, bool]]:
    """Relative path, and whether it is a symlink, of all that counts; in bytes, as not all names are text."""
    with os.scandir(os.path.join(root, below)) as children:
        for child in children:
            name = os.path.join(below, child.name)
            if child.is_dir(follow_symlinks=False):
                if child.name.startswith(b"."):  # holds no manifests, and may hold a great deal else
                    continue
                yield from _walk(root, name)
            elif child.is_symlink() or child.is_file():
                yield name, child.is_symlink()


def _content(path: bytes, linked: bool) -> bytes:
    if linked:
        return os.readlink(path)
    with open(path, "rb") as file:
        return file.read()


def _unreadable(error: OSError) -> Stalled:
    name = os.fsdecode(error.filename or b"?")
    return Stalled("FolderUnreadable", f"{name!r} cannot be read: {error.strerror}. Check its rights.")
