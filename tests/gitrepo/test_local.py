from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from rota.errors import Stalled
from rota.gitrepo import LocalRepository
from tests.gitrepo.origin import Origin, git
from tests.gitrepo.test_source import contents


def test_a_bare_repository(origin: Origin) -> None:
    first = origin.commit({"a.yaml": "1"})
    second = origin.commit({"a.yaml": "2"}, parent=first)
    repository = LocalRepository(origin.path)
    assert repository.resolve("main") == second
    assert repository.resolve("main~1") == first
    assert repository.resolve(second[:10]) == second
    assert contents(repository.checkout(first)) == {"a.yaml": b"1"}
    assert repository.checkout(first).revision == first
    assert repository.committer_time(first) == datetime.fromisoformat("2026-06-01T06:50:00+02:00")
    assert repository.committer_time(first).utcoffset() is not None


def test_from_a_folder_of_a_work_tree(origin: Origin, tmp_path: Path) -> None:
    head = origin.commit({"team/a.yaml": "1", "b.yaml": "2"})
    git(tmp_path, "clone", "--quiet", str(origin.path), "work")
    git(tmp_path / "work", "worktree", "add", "--quiet", str(tmp_path / "linked"))
    for folder in (tmp_path / "work", tmp_path / "work/team", tmp_path / "linked/team"):
        repository = LocalRepository(folder)
        assert repository.resolve("HEAD") == head
        assert repository.resolve("origin/main") == head
        assert contents(repository.checkout(head)) == {"team/a.yaml": b"1", "b.yaml": b"2"}


def test_a_tag_names_its_commit(origin: Origin) -> None:
    head = origin.commit({"a": "1"})
    git(origin.path, "tag", "-a", "v1", "-m", "one", head)
    assert LocalRepository(origin.path).resolve("v1") == head


@pytest.mark.parametrize("revision", ["nowhere", "", "-x", "--all", "1" * 40, "main:a", "a\0b", "main..main"])
def test_what_names_no_commit_is_said(origin: Origin, revision: str) -> None:
    origin.commit({"a": "1"})
    with pytest.raises(Stalled) as missing:
        LocalRepository(origin.path).resolve(revision)
    assert missing.value.reason == "RevisionMissing"


def test_a_commit_that_is_not_here(origin: Origin) -> None:
    origin.commit({"a": "1"})
    repository = LocalRepository(origin.path)
    for ask in (repository.checkout, repository.committer_time):
        with pytest.raises(Stalled) as missing:
            ask("1" * 40)
        assert missing.value.reason == "RevisionMissing"


def test_a_folder_without_a_repository(tmp_path: Path) -> None:
    (tmp_path / "HEAD").write_text("not a repository's")
    with pytest.raises(Stalled) as missing:
        LocalRepository(tmp_path)
    assert missing.value.reason == "NotARepository"


def test_nothing_that_the_repository_configures_is_run(origin: Origin, tmp_path: Path) -> None:
    head = origin.commit({"a.yaml": "1", ".gitattributes": "* filter=evil diff=evil textconv=evil\n"})
    owned = tmp_path / "owned"
    for key in (
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "diff.external",
        "core.editor",
        "gpg.program",
    ):
        git(origin.path, "config", key, f"touch {owned}")
    git(origin.path, "config", "filter.evil.smudge", f"touch {owned}")
    git(origin.path, "config", "diff.evil.textconv", f"touch {owned}")
    git(origin.path, "config", "alias.rev-parse", f"!touch {owned}")
    git(origin.path, "config", "log.showSignature", "true")
    repository = LocalRepository(origin.path)
    contents(repository.checkout(repository.resolve("HEAD")))
    repository.committer_time(head)
    assert not owned.exists()


def test_a_partial_clone_is_not_completed_from_its_server(origin: Origin, tmp_path: Path) -> None:
    head = origin.commit({"a.yaml": "1"})
    git(origin.path, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "--quiet", "--bare", "--filter=blob:none", origin.url, "partial")
    with pytest.raises(Stalled) as missing:
        LocalRepository(tmp_path / "partial").checkout(head)
    assert missing.value.reason == "RevisionMissing"
