"""Which files of a tree are manifests, and whether they are too large or too many to be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rota.manifest.problem import Problem
from rota.manifest.tree import Entry, Tree

IGNORE_FILE: Final = ".rotaignore"
MAX_FILE_BYTES: Final = 2**20
MAX_FILES: Final = 10_000
MAX_TOTAL_BYTES: Final = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Discovered:
    """The files to read, in the order of their paths, and what is wrong with others."""

    root: str
    entries: tuple[Entry, ...] = ()
    problems: tuple[Problem, ...] = ()

    def problem(self, message: str, mend: str = "") -> Problem:
        """An error of the folder as a whole."""
        return Problem(self.root or ".", 1, 1, "", message, mend)


def discover(tree: Tree, path: str) -> Discovered:
    """Every `*.yaml` and `*.yml` under the folder `path`, but for dot-files and what is ignored."""
    root = path.strip("/").removeprefix("./").removesuffix("/.").replace("//", "/")
    root = "" if root == "." else root
    prefix = f"{root}/" if root else ""
    try:
        ignored = _ignored(tree, prefix)
    except ValueError as error:
        problem = Problem(prefix + IGNORE_FILE, 1, 1, "", str(error))
        return Discovered(root, problems=(problem,))
    entries: list[Entry] = []
    problems: list[Problem] = []
    for entry in sorted(tree.entries, key=lambda entry: entry.path):
        if not entry.path.startswith(prefix) or not _is_manifest(entry.path[len(prefix) :]):
            continue
        if ignored(entry.path[len(prefix) :]):
            continue
        if refusal := _unreadable(entry):
            problems.append(refusal)
        else:
            entries.append(entry)
    return _within_budget(Discovered(root, tuple(entries), tuple(problems)))


def _is_manifest(path: str) -> bool:
    return path.endswith((".yaml", ".yml")) and not path.startswith(".") and "/." not in path


def _unreadable(entry: Entry) -> Problem | None:
    if entry.kind != "file":
        message = f"the file is a {entry.kind}: symlinks and submodules are not followed"
        mend = f"Put the manifest here, or name the path in {IGNORE_FILE}."
        return Problem(entry.path, 1, 1, "", message, mend)
    if entry.size > MAX_FILE_BYTES:
        message = f"the file has {entry.size:,} bytes, and the limit is {MAX_FILE_BYTES:,}"
        return Problem(entry.path, 1, 1, "", message, f"Split it, or name it in {IGNORE_FILE}.")
    return None


def _within_budget(found: Discovered) -> Discovered:
    """Nothing to read if there is too much of it."""
    total = sum(entry.size for entry in found.entries)
    if len(found.entries) > MAX_FILES:
        message = f"there are {len(found.entries):,} YAML files, and the limit is {MAX_FILES:,}"
    elif total > MAX_TOTAL_BYTES:
        message = f"the YAML files have {total:,} bytes together, and the limit is {MAX_TOTAL_BYTES:,}"
    else:
        return found
    mend = f"Split the repository, or name what is not for Rota in {IGNORE_FILE}."
    return Discovered(found.root, problems=(*found.problems, found.problem(message, mend)))


def _ignored(tree: Tree, prefix: str) -> Callable[[str], bool]:
    """Whether the ignore file names a path. Raises ValueError, with a sentence, if it cannot be read."""
    entry = next((entry for entry in tree.entries if entry.path == prefix + IGNORE_FILE), None)
    if entry is None:
        return lambda _: False
    if entry.kind != "file":
        raise ValueError(f"the file is a {entry.kind}: symlinks and submodules are not followed")
    if entry.size > MAX_FILE_BYTES:
        raise ValueError(f"the file has more than {MAX_FILE_BYTES:,} bytes")
    # Few repositories have such a file, and the import takes as long as loading a small one.
    from pathspec import GitIgnoreSpec  # noqa: PLC0415

    content = tree.read((entry,))[entry.blob_id]
    try:
        spec = GitIgnoreSpec.from_lines(content.decode("utf-8").splitlines())
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8") from None
    except ValueError as error:
        raise ValueError("a line is not a gitignore pattern") from error
    return spec.match_file
