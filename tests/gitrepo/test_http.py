"""Against git's own HTTP backend with Basic auth: credentials, and pushes whose outcome is unknown."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rota.errors import Retryable, Stalled
from rota.gitrepo import Credentials, Deadlines, Source, StatusBranch
from tests.gitrepo.http_server import PASSWORD, USERNAME, GitServer
from tests.gitrepo.origin import Origin
from tests.gitrepo.test_source import contents
from tests.gitrepo.test_status_branch import AT, BRANCH, publish

RIGHT = Credentials(username=USERNAME, password=PASSWORD)
SourceOf = Callable[..., Source]


@pytest.fixture
def remote(server: GitServer, source_of: SourceOf) -> Source:
    return source_of(f"{server.url}/fleet.git", credentials=RIGHT)


def test_the_whole_way_with_a_password(origin: Origin, server: GitServer, remote: Source) -> None:
    head = origin.commit({"a.yaml": "a" * 2_000_000})
    assert remote.poll().head == head
    assert contents(remote.checkout(head)) == {"a.yaml": b"a" * 2_000_000}
    writer = StatusBranch(remote.mirror, BRANCH, "op-a")
    big = {
        f"f{number}": os.urandom(4096) for number in range(500)
    }  # more than one post holds: sent in chunks
    commit = writer.publish(big, "Ready", {}, AT).commit
    assert remote.poll().status == commit == origin.tip(BRANCH)
    assert remote.read_files(commit) == big
    assert not server.seen_in_arguments


def test_a_poll_is_one_small_question(origin: Origin, server: GitServer, remote: Source) -> None:
    for number in range(50):
        origin.commit({"a": "a"}, branch=f"topic/{number}")
    origin.commit({"a": "a"})
    remote.poll()
    assert server.asked == [
        "GET /fleet.git/info/refs?service=git-upload-pack",
        "POST /fleet.git/git-upload-pack",
    ]


@pytest.mark.parametrize(
    "credentials",
    [Credentials(), Credentials(username=USERNAME, password="wr0ng-secret"), Credentials(password=PASSWORD)],
)
def test_wrong_credentials_name_the_setting_and_no_secret(
    origin: Origin,
    server: GitServer,
    source_of: SourceOf,
    credentials: Credentials,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    origin.commit({"a": "a"})
    monkeypatch.setenv("GIT_ASKPASS", "/bin/false")
    monkeypatch.setenv("SSH_ASKPASS", "/bin/false")
    with pytest.raises(Retryable, match="git-password") as refused:
        source_of(f"{server.url}/fleet.git", credentials=credentials).poll()
    assert server.url in str(refused.value)
    shown = f"{refused.value} {refused.value.__cause__!r} {credentials!r}"
    assert "wr0ng-secret" not in shown
    assert PASSWORD not in shown
    assert not server.seen_in_arguments


def test_the_password_does_not_follow_a_redirect(origin: Origin, server: GitServer, remote: Source) -> None:
    origin.commit({"a": "a"})
    server.redirect = server.url.replace("127.0.0.1", "localhost")
    with pytest.raises(Stalled, match="final URL") as refused:
        remote.poll()
    assert refused.value.reason == "UnsupportedUrl"
    assert len(server.asked) == 1


def test_an_unknown_repository(server: GitServer, source_of: SourceOf) -> None:
    with pytest.raises(Retryable, match="Check the URL"):
        source_of(f"{server.url}/nowhere.git", credentials=RIGHT).poll()


def test_a_right_to_read_only_refuses_the_push(origin: Origin, server: GitServer, remote: Source) -> None:
    server.refuse_push = True
    with pytest.raises(Stalled, match="error: 403") as refused:
        publish(StatusBranch(remote.mirror, BRANCH, "op-a"), "a1")
    assert refused.value.reason == "StatusPushRefused"


def test_a_push_that_arrived_unanswered_is_found_by_looking(
    origin: Origin, server: GitServer, source_of: SourceOf
) -> None:
    mirror = source_of(f"{server.url}/fleet.git", credentials=RIGHT, deadlines=Deadlines(push=1.0)).mirror
    writer = StatusBranch(mirror, BRANCH, "op-a")
    server.answer_push = False
    published = publish(writer, "a1")
    assert published.changed
    assert published.commit == origin.tip(BRANCH)
    assert sum("POST" in line and "receive-pack" in line for line in server.asked) == 1
    server.answer_push = True
    assert publish(writer, "a2").changed
    assert origin.count(BRANCH) == 2


def test_a_push_that_arrives_late_is_known_as_our_own(
    origin: Origin, server: GitServer, source_of: SourceOf
) -> None:
    mirror = source_of(f"{server.url}/fleet.git", credentials=RIGHT, deadlines=Deadlines(push=1.0)).mirror
    writer = StatusBranch(mirror, BRANCH, "op-a")
    server.apply_push = False
    with pytest.raises(Retryable, match="no answer within 1 s"):
        publish(writer, "a1")
    server.apply_push = True
    server.late_push.set()
    assert server.late_push_applied.wait(30)
    late = origin.tip(BRANCH)
    writer.observe_tip(late)
    assert publish(writer, "a2").changed
    assert origin.count(BRANCH) == 2


def test_a_server_that_is_gone_is_retried(
    origin: Origin, server: GitServer, remote: Source, tmp_path: Path
) -> None:
    writer = StatusBranch(remote.mirror, BRANCH, "op-a")
    publish(writer, "a1")
    origin.path.rename(tmp_path / "away")
    with pytest.raises(Retryable):
        publish(writer, "a2")
    (tmp_path / "away").rename(origin.path)
    assert publish(writer, "a2").changed
