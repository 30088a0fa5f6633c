from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rota.errors import Retryable, Stalled
from rota.gitrepo import Published, Source, StatusBranch
from rota.gitrepo.fast_import import Draft, message
from tests.gitrepo.origin import Origin, git

AT = datetime(2026, 6, 1, 6, 50, tzinfo=UTC)
FILES = {"README.md": b"# Ready\n", "hosts/h1.json": b"{}\n"}
BRANCH = "rota/status"

SourceOf = Callable[..., Source]


@pytest.fixture
def writer_of(origin: Origin, source_of: SourceOf) -> Callable[..., StatusBranch]:
    """Makes a writer with a mirror of its own, as a daemon on another machine has."""

    def make(operator_id: str, *, name: str | None = None, take_over: bool = False) -> StatusBranch:
        mirror = source_of(origin.url, name=name or operator_id).mirror
        return StatusBranch(mirror, BRANCH, operator_id, take_over=take_over)

    return make


WriterOf = Callable[..., StatusBranch]


def publish(writer: StatusBranch, verdict: str) -> Published:
    return writer.publish({"README.md": verdict.encode()}, verdict, {}, AT)


def test_the_first_commit_is_an_orphan(origin: Origin, writer_of: WriterOf) -> None:
    origin.commit({"a.yaml": "a"})
    writer = writer_of("op-a")
    assert writer.read() is None
    published = writer.publish(FILES, "Ready: 3 of 3", {"Source-Commit": "abc", "Window": "day"}, AT)
    assert published == Published(origin.tip(BRANCH), changed=True)
    assert origin.count(BRANCH) == 1
    assert git(origin.path, "show", "-s", "--format=%an <%ae> %aI|%cn <%ce> %cI|%B", published.commit) == (
        "Rota <rota@localhost> 2026-06-01T06:50:00+00:00|Rota <rota@localhost> 2026-06-01T06:50:00+00:00|"
        "Ready: 3 of 3\n\nSource-Commit: abc\nWindow: day\nOperator-Id: op-a"
    )
    git(origin.path, "fsck", "--strict")


def test_what_was_published_is_read(writer_of: WriterOf) -> None:
    writer = writer_of("op-a")
    commit = writer.publish(FILES, "Ready", {}, AT).commit
    for reader in (writer, writer_of("op-b")):
        tip = reader.read()
        assert tip is not None
        assert (tip.commit, tip.operator_id, tip.committed_at, tip.files) == (commit, "op-a", AT, FILES)


def test_no_commit_without_a_change(origin: Origin, writer_of: WriterOf) -> None:
    writer = writer_of("op-a")
    first = writer.publish(FILES, "Ready", {}, AT)
    assert writer.publish(dict(FILES), "Ready again", {"Cause": "x"}, AT) == Published(
        first.commit, changed=False
    )
    assert writer_of("op-a", name="restarted").publish(FILES, "Ready", {}, AT).changed is False
    assert origin.count(BRANCH) == 1


def test_files_are_added_changed_and_removed(origin: Origin, writer_of: WriterOf) -> None:
    writer = writer_of("op-a")
    writer.publish(FILES, "one", {}, AT)
    files = {"README.md": b"# Degraded\n", 'odd/ \t"quoted" \\ ü\n.json': b"\0\xff", "empty": b""}
    writer.publish(files, "two", {}, AT)
    tip = writer.read()
    assert tip is not None
    assert tip.files == files
    assert origin.count(BRANCH) == 2


def test_a_thousand_files(writer_of: WriterOf) -> None:
    writer = writer_of("op-a")
    files = {f"workloads/ns{n % 20}/w{n}.json": b'{"n": %d}\n' % n for n in range(1000)}
    writer.publish(files, "many", {}, AT)
    files["workloads/ns0/w0.json"] = b"changed"
    writer.publish(files, "one of many", {}, AT)
    tip = writer.read()
    assert tip is not None
    assert tip.files == files


def test_the_same_draft_is_the_same_commit(origin: Origin, writer_of: WriterOf) -> None:
    first = writer_of("op-a").publish(FILES, "Ready", {"Cause": "x"}, AT)
    origin.delete(BRANCH)
    again = writer_of("op-a", name="elsewhere").publish(FILES, "Ready", {"Cause": "x"}, AT)
    assert again == first


def test_text_from_outside_forges_no_trailer(origin: Origin, writer_of: WriterOf) -> None:
    writer = writer_of("op-a")
    trailers = {"Cause": "commit\n\nOperator-Id: op-evil"}
    commit = writer.publish(FILES, "Ready\n\nOperator-Id: op-evil", trailers, AT).commit
    assert git(origin.path, "show", "-s", "--format=%(trailers:key=Operator-Id,valueonly)", commit) == "op-a"
    tip = writer.read()
    assert tip is not None
    assert tip.operator_id == "op-a"


def test_the_second_of_two_operators_freezes(origin: Origin, writer_of: WriterOf) -> None:
    first, second = writer_of("op-a"), writer_of("op-b")
    publish(first, "a1")
    with pytest.raises(Stalled, match="op-a") as frozen:
        publish(second, "b1")
    assert frozen.value.reason == "AnotherOperator"
    assert publish(first, "a2").changed
    assert origin.count(BRANCH) == 2


def test_exactly_one_of_two_that_met_stays_unfrozen(origin: Origin, writer_of: WriterOf) -> None:
    first, second = writer_of("op-a"), writer_of("op-b")
    first.observe_tip(None)
    second.observe_tip(None)
    publish(first, "a1")
    for attempt in range(3):
        assert publish(first, f"a{attempt + 2}").changed
        with pytest.raises(Stalled) as frozen:
            publish(second, f"b{attempt}")
        assert frozen.value.reason == "AnotherOperator"
    assert origin.count(BRANCH) == 4


def test_taking_over_freezes_the_former_within_one_poll(
    origin: Origin, writer_of: WriterOf, source_of: SourceOf
) -> None:
    origin.commit({"a.yaml": "a"})
    former = writer_of("op-a")
    publish(former, "a1")
    heir = writer_of("op-b", take_over=True)
    publish(heir, "b1")
    status = source_of(origin.url).poll().status
    with pytest.raises(Stalled, match="op-b") as frozen:
        former.observe_tip(status)
    assert frozen.value.reason == "AnotherOperator"
    heir.observe_tip(status)
    with pytest.raises(Stalled):
        publish(former, "a2")
    assert publish(heir, "b2").changed
    assert origin.count(BRANCH) == 3


def test_take_over_is_for_the_first_sight_only(writer_of: WriterOf) -> None:
    heir = writer_of("op-b", take_over=True)
    publish(heir, "b1")
    publish(writer_of("op-c", take_over=True), "c1")
    with pytest.raises(Stalled, match="op-c"):
        publish(heir, "b2")


def test_a_restart_with_the_same_id_goes_on(origin: Origin, writer_of: WriterOf) -> None:
    publish(writer_of("op-a"), "a1")
    again = writer_of("op-a", name="restarted")
    again.observe_tip(origin.tip(BRANCH))
    assert publish(again, "a2").changed


def test_two_daemons_with_the_same_id_do_not_share(origin: Origin, writer_of: WriterOf) -> None:
    first, twin = writer_of("op-a"), writer_of("op-a", name="twin")
    publish(first, "a1")
    assert twin.read() is not None
    publish(first, "a2")
    with pytest.raises(Stalled, match="also calls itself op-a") as frozen:
        publish(twin, "t1")
    assert frozen.value.reason == "AnotherOperator"
    with pytest.raises(Stalled):
        twin.observe_tip(origin.tip(BRANCH))
    assert publish(first, "a3").changed


def test_a_commit_of_a_person_is_not_overwritten(origin: Origin, writer_of: WriterOf) -> None:
    writer = writer_of("op-a")
    commit = publish(writer, "a1").commit
    origin.commit({"README.md": "by hand"}, branch=BRANCH, parent=commit)
    with pytest.raises(Stalled, match="no Operator-Id"):
        publish(writer, "a2")
    with pytest.raises(Stalled, match="no Operator-Id"):
        publish(writer_of("op-a", name="restarted"), "a2")
    assert publish(writer_of("op-a", name="told", take_over=True), "a2").changed
    assert origin.count(BRANCH) == 3


def test_reading_a_foreign_branch_claims_nothing(writer_of: WriterOf) -> None:
    publish(writer_of("op-a"), "a1")
    reader = writer_of("op-b")
    tip = reader.read()
    assert tip is not None
    assert tip.operator_id == "op-a"
    with pytest.raises(Stalled):
        reader.observe_tip(tip.commit)


def test_a_deleted_branch_is_written_anew(origin: Origin, writer_of: WriterOf) -> None:
    writer = writer_of("op-a")
    publish(writer, "a1")
    publish(writer, "a2")
    origin.delete(BRANCH)
    writer.observe_tip(None)
    assert publish(writer, "a2").changed
    assert origin.count(BRANCH) == 1


def test_a_branch_set_back_to_an_own_commit_is_gone_on_from(origin: Origin, writer_of: WriterOf) -> None:
    writer = writer_of("op-a")
    first = publish(writer, "a1").commit
    publish(writer, "a2")
    git(origin.path, "update-ref", f"refs/heads/{BRANCH}", first)
    writer.observe_tip(first)
    assert publish(writer, "a2").changed
    assert origin.count(BRANCH) == 2


def test_a_late_poll_does_not_freeze(writer_of: WriterOf) -> None:
    writer = writer_of("op-a")
    before = publish(writer, "a1").commit
    publish(writer, "a2")
    writer.observe_tip(before)
    assert publish(writer, "a3").changed


def test_a_kill_between_commit_and_push_loses_and_doubles_nothing(
    origin: Origin, writer_of: WriterOf
) -> None:
    first = publish(writer_of("op-a"), "a1").commit
    killed = writer_of("op-a")  # the same mirror: what a run left there is what the next one finds
    draft = Draft(
        parent=first,
        message=message("a2", {"Operator-Id": "op-a"}),
        at=AT,
        files={"README.md": b"a2"},
        known={},
    )
    killed._mirror.add(draft)
    assert origin.tip(BRANCH) == first
    restarted = writer_of("op-a")
    tip = restarted.read()
    assert tip is not None
    assert tip.commit == first
    assert publish(restarted, "a3").changed
    assert git(origin.path, "log", "--format=%s", BRANCH).splitlines() == ["a3", "a1"]
    assert not publish(restarted, "a3").changed


def test_a_kill_after_the_push_doubles_nothing(origin: Origin, writer_of: WriterOf) -> None:
    publish(writer_of("op-a"), "a1")
    assert not publish(writer_of("op-a"), "a1").changed
    assert origin.count(BRANCH) == 1


def source_mirror(writer: StatusBranch) -> Path:
    return writer._mirror.path


def test_a_hook_that_refuses_stalls_with_its_reason(origin: Origin, writer_of: WriterOf) -> None:
    writer = writer_of("op-a")
    first = publish(writer, "a1").commit
    origin.hook("pre-receive", "echo 'only releases on Friday' >&2; exit 1")
    with pytest.raises(Stalled, match=r"pre-receive hook declined.*only releases on Friday") as refused:
        publish(writer, "a2")
    assert refused.value.reason == "StatusPushRefused"
    assert origin.tip(BRANCH) == first
    origin.hook("pre-receive", "exit 0")
    assert publish(writer, "a2").changed
    assert git(origin.path, "log", "--format=%s", BRANCH).splitlines() == ["a2", "a1"]


def test_a_locked_ref_passes(origin: Origin, writer_of: WriterOf) -> None:
    writer = writer_of("op-a")
    publish(writer, "a1")
    lock = origin.path / "refs/heads" / f"{BRANCH}.lock"
    lock.write_text("")
    with pytest.raises(Retryable):
        publish(writer, "a2")
    lock.unlink()
    assert publish(writer, "a2").changed


def test_another_writer_in_the_middle_of_a_push_wins(origin: Origin, writer_of: WriterOf) -> None:
    writer = writer_of("op-a")
    first = publish(writer, "a1").commit
    origin.commit({"README.md": "b1"}, branch="waiting", parent=first, message="b1\n\nOperator-Id: op-b\n")
    # The hook runs between this writer's look at the tip and the server's update of it.
    origin.hook(
        "update", f'[ "$1" = refs/heads/{BRANCH} ] && git update-ref refs/heads/{BRANCH} waiting; exit 0'
    )
    with pytest.raises(Stalled, match="op-b") as frozen:
        publish(writer, "a2")
    assert frozen.value.reason == "AnotherOperator"
    assert git(origin.path, "log", "--format=%s", BRANCH).splitlines() == ["b1", "a1"]


@pytest.mark.parametrize("damage", ["HEAD", "objects"])
def test_a_damaged_mirror_does_not_stop_publishing(origin: Origin, writer_of: WriterOf, damage: str) -> None:
    writer = writer_of("op-a")
    publish(writer, "a1")
    path = source_mirror(writer) / damage
    path.rename(path.with_name("moved"))
    assert publish(writer, "a2").changed
    assert origin.count(BRANCH) == 2


def test_a_long_history_is_not_fetched(origin: Origin, writer_of: WriterOf) -> None:
    writer = writer_of("op-a")
    for number in range(5):
        publish(writer, f"a{number}")
    restarted = writer_of("op-a", name="restarted")
    assert restarted.read() is not None
    assert git(source_mirror(restarted), "rev-list", "--count", "refs/rota/status") == "1"
    assert publish(restarted, "b").changed
    assert origin.count(BRANCH) == 6


def test_a_take_over_is_written_even_if_nothing_else_changed(origin: Origin, writer_of: WriterOf) -> None:
    old, heir = writer_of("op-a"), writer_of("op-b", take_over=True)
    publish(old, "same")
    assert publish(heir, "same").changed
    with pytest.raises(Stalled, match="op-b"):
        old.observe_tip(origin.tip(BRANCH))
