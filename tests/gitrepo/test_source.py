from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rota.errors import Retryable, Stalled
from rota.gitrepo import Deadlines, Poll, Source
from rota.manifest.tree import Tree
from tests.gitrepo.origin import Origin, git

SourceOf = Callable[..., Source]


def contents(tree: Tree) -> dict[str, bytes]:
    blobs = tree.read(tree.entries)
    return {entry.path: blobs[entry.blob_id] for entry in tree.entries if entry.kind != "submodule"}


def test_poll_sees_both_tips(origin: Origin, source: Source) -> None:
    head = origin.commit({"a.yaml": "a"})
    origin.commit({"b.yaml": "b"}, branch="decoy/refs/heads/main")
    assert source.poll() == Poll(head, None)
    status = origin.commit({"status.json": "{}"}, branch="rota/status")
    assert source.poll() == Poll(head, status)


def test_a_missing_branch_stalls(origin: Origin, source: Source) -> None:
    with pytest.raises(Stalled, match="main does not exist") as empty:
        source.poll()
    assert empty.value.reason == "BranchMissing"
    head = origin.commit({"a.yaml": "a"})
    assert source.poll().head == head
    origin.delete("main")
    with pytest.raises(Stalled) as deleted:
        source.poll()
    assert deleted.value.reason == "BranchMissing"


def test_a_branch_deleted_between_poll_and_fetch_stalls(origin: Origin, source: Source) -> None:
    head = origin.commit({"a.yaml": "a"})
    origin.delete("main")
    with pytest.raises(Stalled) as deleted:
        source.checkout(head)
    assert deleted.value.reason == "BranchMissing"


def test_checkout_reads_a_commit(origin: Origin, source: Source) -> None:
    head = origin.commit({"b/c.yaml": "one", "a.yaml": "two", "empty": ""})
    checkout = source.checkout(head)
    assert checkout.revision == head
    assert [(entry.path, entry.size, entry.kind) for entry in checkout.entries] == [
        ("a.yaml", 3, "file"),
        ("b/c.yaml", 3, "file"),
        ("empty", 0, "file"),
    ]
    assert contents(checkout) == {"a.yaml": b"two", "b/c.yaml": b"one", "empty": b""}
    assert checkout.read([]) == {}


def test_symlinks_and_submodules_are_named_and_not_followed(origin: Origin, source: Source) -> None:
    target = origin.blob("/etc/passwd")
    listing = f"120000 blob {target}\tlink.yaml\x00160000 commit {'1' * 40}\tvendor\0"
    checkout = source.checkout(origin.commit_index(listing.encode()))
    assert [(entry.path, entry.kind) for entry in checkout.entries] == [
        ("link.yaml", "symlink"),
        ("vendor", "submodule"),
    ]
    assert checkout.read(checkout.entries) == {target: b"/etc/passwd"}


def test_paths_of_all_kinds(origin: Origin, source: Source) -> None:
    paths = [
        "-rf",
        "a\nb",
        "with space",
        'quo"te',
        "tab\tbed",
        "ünï/cødé",
        "back\\slash",
        "a" * 200 + "/" + "b" * 200,
    ]
    checkout = source.checkout(origin.commit(dict.fromkeys(paths, "x")))
    assert {entry.path for entry in checkout.entries} == set(paths)
    listing = f"100644 blob {origin.blob('y')}\t".encode() + b"raw\xff\0"
    raw = source.checkout(origin.commit_index(listing))
    assert raw.entries[0].path == "raw\\xff"
    assert contents(raw) == {"raw\\xff": b"y"}


def test_objects_that_attack_git_are_refused(origin: Origin, source: Source) -> None:
    tree = git(
        origin.path,
        *("hash-object", "-t", "tree", "-w", "--literally", "--stdin"),
        stdin=b"100644 .git\0" + bytes.fromhex(origin.blob("x")),
    )
    commit = git(origin.path, "commit-tree", tree, "-m", "evil")
    git(origin.path, "update-ref", "refs/heads/main", commit)
    with pytest.raises(Stalled, match="hasDotgit") as unsafe:
        source.checkout(commit)
    assert unsafe.value.reason == "UnsafeObjects"


def test_an_unchanged_commit_asks_no_server(origin: Origin, source: Source) -> None:
    head = origin.commit({"a.yaml": "a"})
    first = source.checkout(head)
    origin.path.rename(origin.path.with_name("moved"))
    assert source.checkout(head) == first


def test_a_force_push_is_survived_and_seen(origin: Origin, source: Source) -> None:
    base = origin.commit({"a.yaml": "1"})
    second = origin.commit({"a.yaml": "2"}, parent=base)
    source.checkout(second)
    assert source.is_ancestor(base, second)
    assert source.is_ancestor(second, second)
    rewritten = origin.commit({"a.yaml": "3"}, parent=base, message="rewritten")
    assert contents(source.checkout(rewritten)) == {"a.yaml": b"3"}
    assert source.is_ancestor(base, rewritten)
    assert not source.is_ancestor(second, rewritten)
    assert not source.is_ancestor("1" * 40, rewritten)
    assert not source.is_ancestor(rewritten, base)


def test_a_commit_that_was_forced_away_is_retried(origin: Origin, source: Source) -> None:
    gone = origin.commit({"a.yaml": "1"})
    origin.commit({"a.yaml": "2"})
    git(origin.path, "prune", "--expire=now")
    with pytest.raises(Retryable, match="left"):
        source.checkout(gone)


def test_read_files_of_the_status_branch(origin: Origin, source: Source) -> None:
    status = origin.commit({"status.json": "{}", "hosts/h1.json": "1", "hostsx": "2"}, branch="rota/status")
    assert source.read_files(status) == {"status.json": b"{}", "hosts/h1.json": b"1", "hostsx": b"2"}
    assert source.read_files(status, "hosts") == {"hosts/h1.json": b"1"}
    assert source.read_files(status, "hosts/") == {"hosts/h1.json": b"1"}
    assert source.read_files(status, "nothing*") == {}


def test_a_hundred_thousand_entries(origin: Origin, source: Source) -> None:
    blob = origin.blob("x")
    listing = b"".join(b"100644 blob %s\td%d/f%d\0" % (blob.encode(), n % 300, n) for n in range(100_000))
    checkout = source.checkout(origin.commit_index(listing))
    assert len(checkout.entries) == 100_000
    assert checkout.read(checkout.entries) == {blob: b"x"}


def test_one_read_of_many_blobs(origin: Origin, source: Source) -> None:
    files: dict[str, str | bytes] = {f"f{n}": b"\n\0blob 3\n" * n for n in range(300)}
    assert contents(source.checkout(origin.commit(files))) == files


@pytest.mark.parametrize("name", ["", "a b", "a..b", "-x", "a.lock", "a\0b", "@{", "a~1"])
def test_branch_names_are_checked(tmp_path: Path, name: str) -> None:
    if name == "-x":
        Source("/srv/fleet.git", name, "rota/status", tmp_path)  # a full ref by the time git sees it
        return
    with pytest.raises(Stalled) as refused:
        Source("/srv/fleet.git", name, "rota/status", tmp_path)
    assert refused.value.reason == "UnsupportedBranch"


def test_the_status_branch_is_not_the_source(tmp_path: Path) -> None:
    with pytest.raises(Stalled) as refused:
        Source("/srv/fleet.git", "main", "main", tmp_path)
    assert refused.value.reason == "UnsupportedBranch"


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: list[socket.socket] = []

        def accept() -> None:
            try:
                while True:
                    taken.append(listener.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in taken:
            connection.close()


def test_a_server_that_never_answers(silent_port: int, source_of: SourceOf) -> None:
    source = source_of(f"http://127.0.0.1:{silent_port}/fleet.git", deadlines=Deadlines(poll=0.5))
    with pytest.raises(Retryable, match=r"no answer within 0.5 s"):
        source.poll()


def test_a_port_that_refuses(source_of: SourceOf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Retryable, match=rf"http://127.0.0.1:{port}/fleet.git.*(refused|Couldn't connect)"):
        source_of(f"http://127.0.0.1:{port}/fleet.git").poll()


def test_a_repository_that_is_not_there(tmp_path: Path, source_of: SourceOf) -> None:
    with pytest.raises(Retryable, match="Check the URL"):
        source_of(f"file://{tmp_path}/nowhere.git").poll()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_owner_is_explained(origin: Origin, source: Source) -> None:
    origin.commit({"a.yaml": "a"})
    os.chown(origin.path, 12345, 12345)
    with pytest.raises(Stalled, match="as the owner of that directory") as foreign:
        source.poll()
    assert foreign.value.reason == "ForeignOwner"


def test_a_plain_path_is_an_address(origin: Origin, source_of: SourceOf) -> None:
    head = origin.commit({"a.yaml": "a"})
    assert contents(source_of(str(origin.path)).checkout(head)) == {"a.yaml": b"a"}
