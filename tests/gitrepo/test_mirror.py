"""A mirror that a crash, a disk or a person damaged is built anew, and nobody notices."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rota.errors import Retryable
from rota.gitrepo import Source
from tests.gitrepo.origin import Origin, git
from tests.gitrepo.test_source import contents


def _objects(mirror: Path) -> list[Path]:
    return [path for path in (mirror / "objects").rglob("*") if path.is_file()]


def _remove_head(mirror: Path) -> None:
    (mirror / "HEAD").unlink()


def _garbage_in_head(mirror: Path) -> None:
    (mirror / "HEAD").write_bytes(b"\0\xff garbage")


def _remove_objects(mirror: Path) -> None:
    shutil.rmtree(mirror / "objects")


def _empty_objects(mirror: Path) -> None:
    for path in _objects(mirror):
        path.chmod(0o644)
        path.write_bytes(b"")


def _flip_bits(mirror: Path) -> None:
    for path in _objects(mirror):
        path.chmod(0o644)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)


def _garbage_in_refs(mirror: Path) -> None:
    (mirror / "refs/rota/source").write_bytes(b"garbage\n")


def _ref_to_nothing(mirror: Path) -> None:
    (mirror / "refs/rota/source").write_text("1" * 40 + "\n")


def _ref_lock(mirror: Path) -> None:
    (mirror / "refs/rota/source.lock").write_bytes(b"")


def _garbage_in_config(mirror: Path) -> None:
    (mirror / "config").write_bytes(b"[core\n\xff")


def _half_made(mirror: Path) -> None:
    shutil.rmtree(mirror)
    (mirror / "objects").mkdir(parents=True)


def _only_a_file(mirror: Path) -> None:
    shutil.rmtree(mirror)
    mirror.write_text("not a directory")


def _gone(mirror: Path) -> None:
    shutil.rmtree(mirror)


DAMAGES = [
    _remove_head,
    _garbage_in_head,
    _remove_objects,
    _empty_objects,
    _flip_bits,
    _garbage_in_refs,
    _ref_to_nothing,
    _ref_lock,
    _garbage_in_config,
    _half_made,
    _only_a_file,
    _gone,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_mirror_is_rebuilt_for_the_next_commit(
    origin: Origin, source: Source, damage: Callable[[Path], None]
) -> None:
    first = origin.commit({"a.yaml": "1"})
    source.checkout(first)
    damage(source.mirror.path)
    second = origin.commit({"a.yaml": "2"}, parent=first)
    assert source.poll().head == second
    assert contents(source.checkout(second)) == {"a.yaml": b"2"}
    assert source.is_ancestor(first, second)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_mirror_is_rebuilt_for_a_commit_it_had(
    origin: Origin, source: Source, damage: Callable[[Path], None]
) -> None:
    head = origin.commit({"a.yaml": "1"})
    source.checkout(head)
    damage(source.mirror.path)
    assert contents(source.checkout(head)) == {"a.yaml": b"1"}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_checkout_outlives_the_mirror_it_came_from(
    origin: Origin, source: Source, damage: Callable[[Path], None]
) -> None:
    checkout = source.checkout(origin.commit({"a.yaml": "1"}))
    damage(source.mirror.path)
    assert contents(checkout) == {"a.yaml": b"1"}


def test_one_missing_blob_is_noticed_at_the_listing(origin: Origin, source: Source) -> None:
    head = origin.commit({"a.yaml": "1"})
    source.checkout(head)
    objects = source.mirror.path / "objects"
    pack = next((objects / "pack").glob("*.pack")).read_bytes()
    shutil.rmtree(objects / "pack")
    git(source.mirror.path, "unpack-objects", "-q", stdin=pack)
    blob = origin.blob("1")
    (objects / blob[:2] / blob[2:]).unlink()
    assert contents(source.checkout(head)) == {"a.yaml": b"1"}


def test_a_broken_server_does_not_cost_the_mirror(origin: Origin, source: Source) -> None:
    first = origin.commit({"a.yaml": "1"})
    source.checkout(first)
    born = source.mirror.path.stat().st_ino
    second = origin.commit({"a.yaml": "2"}, parent=first)
    _empty_objects(origin.path)
    for _ in range(2):
        with pytest.raises(Retryable):
            source.checkout(second)
    assert source.mirror.path.stat().st_ino == born
    assert contents(source.checkout(first)) == {"a.yaml": b"1"}


def test_a_killed_git_does_not_cost_the_mirror(
    origin: Origin, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = origin.commit({"a.yaml": "1"})
    source.checkout(head)
    born = source.mirror.path.stat().st_ino
    killed = tmp_path / "bin" / "git"
    killed.parent.mkdir()
    killed.write_text("#!/bin/sh\nkill -KILL $$\n")
    killed.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{killed.parent}{os.pathsep}{os.environ['PATH']}")
        with pytest.raises(Retryable, match="signal 9"):
            source.checkout(head)
    assert contents(source.checkout(head)) == {"a.yaml": b"1"}
    assert source.mirror.path.stat().st_ino == born


def test_readers_of_a_damaged_mirror_share_one_rebuilding(origin: Origin, source: Source) -> None:
    checkout = source.checkout(origin.commit({f"f{n}": f"{n}" for n in range(20)}))
    expected = contents(checkout)
    for damage in (_empty_objects, _gone, _remove_head, _garbage_in_head):
        damage(source.mirror.path)
        with ThreadPoolExecutor(8) as readers:
            found = list(readers.map(lambda _: contents(checkout), range(8)))
        assert found == [expected] * 8


def test_what_a_killed_init_left_is_no_obstacle(origin: Origin, source: Source) -> None:
    left = source.mirror.path.with_name("mirror.new")
    left.mkdir(parents=True)
    (left / "config.lock").write_text("")
    head = origin.commit({"a.yaml": "1"})
    assert contents(source.checkout(head)) == {"a.yaml": b"1"}


def test_a_directory_that_cannot_be_made_is_said(origin: Origin, source_of: Callable[..., Source]) -> None:
    source = source_of(origin.url, name="file/cache")
    source.mirror.path.parent.parent.write_text("a file where a directory should be")
    with pytest.raises(Retryable, match=r"Not a directory.*Check the disk"):
        source.checkout(origin.commit({"a.yaml": "1"}))
