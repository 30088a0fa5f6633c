"""What people on call read without a daemon: events, one thing in full, what differs, what was deployed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.oncall import Desk, changed, running, small, status_commit

LEDGER = "state/ledger.json"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    repository = small(tmp_path / "work")
    revision = repository.git("rev-parse", "HEAD")
    status_commit(
        repository, running(repository), "Ready: 2/2 instances", revision, "2026-06-01T12:05:00+02:00"
    )
    monkeypatch.chdir(repository.path)
    monkeypatch.delenv("ROTA_SERVER", raising=False)
    return Desk(repository, capsys)


def test_events_of_everything_and_of_one_thing(desk: Desk) -> None:
    assert desk.rota("events").out.splitlines() == [
        "2026-06-01T12:00:00+02:00  RevisionAdopted  Fleet: now at 123",
        "2026-06-01T12:00:00+02:00  Started  Service shop/web/0 on h1 (x)",
        "2026-06-01T12:00:00+02:00  HostSuspect  Host h2: is suspect",
    ]
    for subject, word in (
        ("fleet", "RevisionAdopted"),
        ("service/shop/web", "Started"),
        ("web", "Started"),
        ("host/h1", "Started"),
        ("h2", "HostSuspect"),
    ):
        (line,) = desk.rota("events", subject).out.splitlines()
        assert word in line
    assert desk.rota("events", "-n", "1").out.splitlines()[0].endswith("is suspect")
    items = json.loads(desk.rota("events", "web", "-o", "json").out)["items"]
    assert [(one["object"], one["causeKind"]) for one in items] == [("Service shop/web", "other")]


@pytest.mark.parametrize("verb", ["events", "describe"])
@pytest.mark.parametrize("subject", ["host/web", "service/h1", "wob", "shop/wob", "job/web", ""])
def test_what_is_not_there_is_said_so(desk: Desk, verb: str, subject: str) -> None:
    said = desk.rota(verb, subject)
    assert said.code == 1
    assert said.out == ""
    assert "rota get workloads" in said.err


def test_a_workload_in_full(desk: Desk) -> None:
    lines = desk.rota("describe", "web").out.splitlines()
    assert lines[0] == "Service shop/web"
    text = "\n".join(lines)
    for part in (
        "Healthy",
        "2 of 2, by replicas",
        "web:1",
        "maxUnavailable",
        "Instances:",
        "shop/web/0 on h",
    ):
        assert part in text
    assert lines[-1].endswith("Service shop/web/0 on h1 (x)")
    document = json.loads(desk.rota("describe", "service/shop/web", "-o", "json").out)
    assert (document["ready"], document["spec"]["image"], len(document["instances"])) == (2, "web:1", 2)


def test_the_last_lines_of_what_died_and_the_rollout_are_shown(desk: Desk) -> None:
    files = changed(
        running(desk.repository),
        "workloads/shop/web.json",
        log=["out of \x1b[1mmemory"],
        rollout={"phase": "Soak"},
    )
    status_commit(desk.repository, files, "x", "none", "2026-06-01T12:06:00+02:00")
    lines = desk.rota("describe", "web").out.splitlines()
    assert lines[lines.index("Last lines of its log:") + 1] == "  | out of \\x1b[1mmemory"
    assert lines[lines.index("Rollout:") + 1] == "  phase: Soak"


def test_a_workload_whose_manifests_are_broken_is_described_all_the_same(desk: Desk) -> None:
    desk.repository.edit("web.yaml", "replicas", "replicsa")
    document = json.loads(desk.rota("describe", "web", "-o", "json").out)
    assert (document["spec"], document["ready"]) == (None, 2)


def test_a_host_and_the_fleet_in_full(desk: Desk) -> None:
    host = desk.rota("describe", "host/h1").out
    assert host.startswith("Host h1\n")
    assert "tcp://h1:2375" in host
    assert "cpu 500m/2" in host
    fleet = desk.rota("describe", "fleet").out
    assert "Ready: True" in fleet
    assert "in trouble" not in fleet


def test_a_damaged_status_branch_is_said_to_be(desk: Desk) -> None:
    files = running(desk.repository) | {"workloads/shop/web.json": b"{"}
    status_commit(desk.repository, files, "x", "none", "2026-06-01T12:06:00+02:00")
    said = desk.rota("describe", "web")
    assert (said.code, "cannot be read" in said.err) == (3, True)


def test_nothing_differs(desk: Desk) -> None:
    said = desk.rota("diff")
    assert (said.code, said.out) == (0, "")
    assert json.loads(desk.rota("diff", "web", "-o", "json").out)["workloads"] == []


def test_what_differs_is_told_by_workload(desk: Desk) -> None:
    desk.repository.edit("web.yaml", "web:1", "web:2")
    desk.repository.edit("web.yaml", "replicas: 2", "replicas: 3")
    said = desk.rota("diff")
    assert said.code == 1
    lines = said.out.splitlines()
    assert lines[0] == "~ Service shop/web: 3 wanted, 2 running, 0 of them as wanted"
    assert lines[1].startswith("    2 instances with spec ")
    assert any(line.startswith("    replace 0") for line in lines), lines
    assert any(line.startswith("    start 2") for line in lines), lines
    assert "rota plan" in said.err
    (row,) = json.loads(desk.rota("diff", "shop/web", "-o", "json").out)["workloads"]
    assert (row["desired"], row["running"], row["asWanted"]) == (3, 2, 0)


def test_what_the_commit_does_not_have_any_more(desk: Desk) -> None:
    (desk.repository.path / "web.yaml").unlink()
    said = desk.rota("diff")
    assert said.code == 1
    assert said.out.startswith(
        "- Service shop/web: 0 wanted, 2 running, 0 of them as wanted; the commit does not"
    )


def test_without_a_status_branch(desk: Desk) -> None:
    desk.repository.git("update-ref", "-d", "refs/heads/rota/status")
    said = desk.rota("diff")
    assert said.code == 1
    assert "2 wanted, 0 running" in said.out
    assert "nothing is known to run" in said.err
    assert desk.rota("events").code == 0
    assert "there is no status branch rota/status here" in desk.rota("history").err


def test_what_was_deployed(desk: Desk) -> None:
    repository = desk.repository
    first = repository.git("rev-parse", "HEAD")
    files = running(repository)
    made = {}
    for minute, name in ((10, "Second"), (20, "Third"), (30, "Fourth")):
        made[name] = repository.commit(name)
        spec = f"v1:{name}"
        said = changed(files, "workloads/shop/web.json", spec="v1:Second" if name == "Third" else spec)
        if name == "Third":
            failed = {
                "workload": "shop/web",
                "revision": made[name],
                "reverts": True,
                "reason": "no progress",
            }
            said = changed(said, LEDGER, failed=[failed])
        for second, word in (("00", "not Ready (Progressing): 1/2"), ("30", "not Ready (Degraded): 1/2")):
            at = f"2026-06-01T12:{minute}:{second}+02:00"
            status_commit(repository, said, word, made[name], at)
    document = json.loads(desk.rota("history", "-o", "json").out)
    told = [(one["revision"], one["subject"], one["verdict"], one["why"]) for one in document["items"]]
    assert told == [
        (made["Fourth"], "Fourth", "under way", ""),
        (made["Third"], "Third", "failed", "shop/web: RolledBack: no progress"),
        (made["Second"], "Second", "superseded", ""),
        (first, "Small", "applied", ""),
    ]
    assert document["items"][1]["begun"] == "2026-06-01T12:20:00+02:00"
    assert document["items"][1]["ended"] == "2026-06-01T12:20:30+02:00"
    assert document["items"][3]["ready"] == "2026-06-01T12:05:00+02:00"
    lines = desk.rota("history", "-n", "2").out.splitlines()
    assert [line.split()[0] for line in lines] == ["BEGUN", "2026-06-01", "2026-06-01"]
    of_web = json.loads(desk.rota("history", "web", "-o", "json").out)["items"]
    assert [one["subject"] for one in of_web] == ["Fourth", "Third", "Second", "Small"]
    assert desk.rota("history", "wob").code == 1


def test_a_commit_of_which_removals_are_withheld_is_not_simply_applied(desk: Desk) -> None:
    repository = desk.repository
    files, second = running(repository), repository.commit("Second")
    said = "Ready, but Degraded (PruneBlocked): 1/1"
    status_commit(repository, files, said, second, "2026-06-01T12:10:00+02:00")
    newest = json.loads(desk.rota("history", "-o", "json").out)["items"][0]
    assert (newest["subject"], newest["verdict"], newest["why"]) == ("Second", "applied", "PruneBlocked")
    assert desk.rota("history").out.splitlines()[1].endswith("Second   applied (PruneBlocked)")


def test_history_of_a_commit_that_is_gone(desk: Desk) -> None:
    status_commit(
        desk.repository, running(desk.repository), "Ready: 2/2", "f" * 40, "2026-06-01T13:00:00+02:00"
    )
    assert "(not in this clone)" in desk.rota("history").out.splitlines()[1]
    said = desk.rota("history", "-C", "https://example.org/x.git")
    assert (said.code, "clone" in said.err) == (2, True)
