from __future__ import annotations

import os
from pathlib import Path

import pytest

from rota.errors import Stalled
from rota.gitrepo import FolderTree, Source
from rota.manifest.tree import Tree
from tests.gitrepo.origin import Origin
from tests.gitrepo.test_source import contents


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "fleet"
    (root / "team" / ".git").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("hidden")
    (root / "team" / ".git" / "config").write_text("hidden")
    (root / "b.yaml").write_text("b")
    (root / "team" / "a.yaml").write_text("a")
    return root


def test_a_folder_lists_what_a_commit_of_it_would(folder: Path, origin: Origin, source: Source) -> None:
    (folder / "a.b").write_text("between a and a/")
    (folder / "a").mkdir()
    (folder / "a" / "c").write_bytes(b"\0\xff")
    tree = FolderTree(folder)
    committed = source.checkout(origin.commit(dict(contents(tree))))
    assert tree.entries == committed.entries
    assert contents(tree) == contents(committed)
    assert tree.revision == ""


def test_links_are_reported_and_not_followed(folder: Path) -> None:
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "loop").symlink_to(folder)
    (folder / "dangling").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    tree: Tree = FolderTree(folder)
    assert [(entry.path, entry.kind) for entry in tree.entries] == [
        ("b.yaml", "file"),
        ("dangling", "symlink"),
        ("link", "symlink"),
        ("loop", "symlink"),
        ("team/a.yaml", "file"),
    ]
    assert contents(tree)["link"] == b"/etc/passwd"


def test_names_that_are_not_text_show_escaped(folder: Path) -> None:
    with open(os.fsencode(folder) + b"/raw\xff", "wb") as file:
        file.write(b"x")
    assert contents(FolderTree(folder))["raw\\xff"] == b"x"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Stalled, match="nowhere") as missing:
        FolderTree(tmp_path / "nowhere")
    assert missing.value.reason == "FolderUnreadable"


def test_a_file_that_changes_while_it_is_read(folder: Path) -> None:
    tree = FolderTree(folder)
    (folder / "b.yaml").write_text("changed")
    with pytest.raises(Stalled, match="changed meanwhile"):
        tree.read(tree.entries)
    (folder / "b.yaml").unlink()
    with pytest.raises(Stalled) as gone:
        tree.read(tree.entries)
    assert gone.value.reason == "FolderUnreadable"
