"""What an operator does for its users, on real Docker hosts, by the Engines' own word."""

from __future__ import annotations

import hashlib
import hmac
import http.client
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.lab.containers import fetch
from tests.lab.hosts import Lab
from tests.lab.operator import (
    POLICY,
    WEB_1_6,
    Repository,
    Sampler,
    database_manifest,
    fleet_manifests,
    healthy,
    ids,
    image_id,
    instances,
    operating,
    slots,
    web_manifest,
    worker_manifest,
)
from tests.lab.waiting import now, wait_for

pytestmark = pytest.mark.lab
WEB, WORKER = "shop/web", "shop/worker"
SOON = 40.0


@pytest.fixture
def repository(tmp_path: Path, hosts: Lab) -> Repository:
    """The lab's hosts as a fleet, without a workload yet."""
    made = Repository(tmp_path, hosts.hosts)
    made.write(**fleet_manifests(hosts.hosts))
    return made


def test_first_deployment_spreads_and_is_recorded(hosts: Lab, repository: Repository, tmp_path: Path) -> None:
    repository.write(web=web_manifest(6), worker=worker_manifest(2))
    commit = repository.push("everything")
    with operating(repository, tmp_path) as operator:
        wait_for(lambda: repository.ready(commit), SOON, "Ready on the status branch")
        assert [len([1 for host, _ in instances(hosts, WEB) if host == name]) for name in hosts.hosts] == [
            2,
            2,
            2,
        ]
        assert slots(hosts, WEB) == [0, 1, 2, 3, 4, 5]
        assert {row["Labels"]["rota.revision"] for _, row in instances(hosts, WEB)} == {commit}
        commits = repository.commits()
        assert operator.stop() == 0
    assert healthy(hosts, WEB) == 6, "a stopped operator leaves every container running"
    assert repository.commits() <= commits + 1


def test_evening_and_morning_edges_hand_the_machines_over(
    hosts: Lab, repository: Repository, tmp_path: Path
) -> None:
    repository.write(web=web_manifest(1), worker=worker_manifest(1), policy=POLICY)
    repository.push("a day and a night")
    by_day = {row["Id"] for _, row in instances(hosts, WEB)}
    with operating(repository, tmp_path, "--clock", "2026-06-01T19:58:50+02:00x8"):
        # The night is near: into what the day leaves free, its workers come early.
        wait_for(lambda: healthy(hosts, WEB) == 8 and healthy(hosts, WORKER) > 2, SOON, "the day's end")
        by_day = {row["Id"] for _, row in instances(hosts, WEB)}
        wait_for(lambda: healthy(hosts, WEB) == 2 and healthy(hosts, WORKER) == 9, SOON, "the night")
        by_night = {row["Id"] for _, row in instances(hosts, WEB)}
        assert by_night < by_day, "an edge restarts no survivor"
        wait_for(lambda: repository.status()["windows"][0]["window"] == "base", SOON, "the status branch")
    workers = {row["Id"] for _, row in instances(hosts, WORKER)}
    with operating(repository, tmp_path, "--clock", "2026-06-02T06:56:00+02:00x20"):
        wait_for(
            lambda: healthy(hosts, WEB) == 8 and healthy(hosts, WORKER) > 2, SOON, "the end of the night"
        )
        wait_for(lambda: healthy(hosts, WEB) == 8 and healthy(hosts, WORKER) == 2, SOON, "the morning")
        [edge] = wait_for(lambda: _met(repository), SOON, "the edge on the status branch")
        assert (edge["workload"], edge["ready"], edge["wanted"]) == (WEB, 8, 8)
        assert edge["offset"] <= 0, edge["text"]
        assert not edge["late"]
        assert by_night <= {row["Id"] for _, row in instances(hosts, WEB)}
        assert {row["Id"] for _, row in instances(hosts, WORKER)} < workers


def _met(repository: Repository) -> list[dict[str, Any]]:
    """The edges that are over, by the status branch."""
    return [
        one for one in repository.status()["edges"] if one["offset"] is not None and one["window"] == "day"
    ]


def test_image_change_leaves_no_gap_and_counts_alone_restart_nothing(
    hosts: Lab, repository: Repository, tmp_path: Path
) -> None:
    repository.write(web=web_manifest(4))
    first = repository.push("1.5.0")
    with operating(repository, tmp_path):
        wait_for(lambda: repository.ready(first), SOON, "the first deployment")
        with Sampler(lambda: healthy(hosts, WEB)) as sampler:
            repository.write(web=web_manifest(4, image=WEB_1_6))
            second = repository.push("1.6.0")
            wait_for(lambda: repository.ready(second), SOON, "the rollout")
        assert {row["ImageID"] for _, row in instances(hosts, WEB)} == {image_id(hosts, WEB_1_6)}
        assert min(sampler.seen) >= 4, "healthy replicas never fell below what is wanted"
        assert max(sampler.seen) <= 6, "and never rose above the surge"
        before = ids(hosts, WEB)
        repository.write(web=web_manifest(5, image=WEB_1_6))
        third = repository.push("five")
        wait_for(lambda: repository.ready(third), SOON, "five")
        assert before < ids(hosts, WEB)


def test_container_stopped_killed_or_removed_by_hand_is_back_within_two_seconds(
    hosts: Lab, repository: Repository, tmp_path: Path
) -> None:
    repository.write(worker=worker_manifest(3))
    commit = repository.push("three workers")
    with operating(repository, tmp_path):
        wait_for(lambda: repository.ready(commit), SOON, "three workers")
        for verb in ("stop?t=1", "kill", "remove"):
            host, row = instances(hosts, WORKER)[0]
            if verb == "remove":
                hosts.api(host, "DELETE", f"/containers/{row['Id']}?force=true")
            else:
                hosts.api(host, "POST", f"/containers/{row['Id']}/{verb}")
            began = now()
            wait_for(lambda: healthy(hosts, WORKER) == 3, 10, f"three workers after {verb}")
            assert now() - began < 2.0


def test_invalid_commit_is_told_and_changes_nothing(
    hosts: Lab, repository: Repository, tmp_path: Path
) -> None:
    repository.write(web=web_manifest(2))
    good = repository.push("good")
    with operating(repository, tmp_path):
        wait_for(lambda: repository.ready(good), SOON, "the good commit")
        before = {row["Id"] for _, row in instances(hosts, WEB)}
        repository.write(web=web_manifest(2).replace("replicas: 2", "replica: 0"), policy=POLICY)
        bad = repository.push("bad")
        wait_for(lambda: repository.status()["source"]["attempted"] == bad, SOON, "the bad commit to be told")
        status = repository.status()
        assert status["source"]["applied"] == good
        places = {(one["path"], one["line"]) for one in status["problems"]}
        assert ("web.yaml", 6) in places
        assert any(one["reason"] == "InvalidCommit" for one in status["conditions"])
        assert {row["Id"] for _, row in instances(hosts, WEB)} == before
    with operating(repository, tmp_path):  # also after a restart the last good revision holds
        host, row = instances(hosts, WEB)[0]
        hosts.api(host, "DELETE", f"/containers/{row['Id']}?force=true")
        wait_for(lambda: healthy(hosts, WEB) == 2, SOON, "the last good revision after a restart")


def test_kill_switch_holds_everything(hosts: Lab, repository: Repository, tmp_path: Path) -> None:
    switch = tmp_path / "pause"
    repository.write(worker=worker_manifest(2))
    commit = repository.push("two workers")
    with operating(repository, tmp_path, "--pause-file", str(switch)):
        wait_for(lambda: repository.ready(commit), SOON, "two workers")
        switch.touch()
        wait_for(lambda: "paused" in str(repository.status()["conditions"]), SOON, "the pause to be told")
        repository.write(worker=worker_manifest(4))
        repository.push("four workers")
        host, row = instances(hosts, WORKER)[0]
        hosts.api(host, "POST", f"/containers/{row['Id']}/stop?t=1")
        wait_for(
            lambda: (
                "3 instances to change" in str(repository.status())
                or repository.status()["workloads"][0]["running"] == 1
            ),
            SOON,
            "the operator to see it",
        )
        assert len(instances(hosts, WORKER)) == 1
        switch.unlink()
        wait_for(lambda: healthy(hosts, WORKER) == 4, SOON, "four workers once the switch is off")


def test_suspend_override_holds_the_fleet(hosts: Lab, repository: Repository, tmp_path: Path) -> None:
    suspend = """
apiVersion: rota/v1
kind: Override
metadata: {name: stop-all, namespace: shop}
spec:
  target: {kind: Fleet, name: lab}
  suspend: true
  until: "2026-06-01T12:01:00+02:00"
  reason: a test
"""
    repository.write(worker=worker_manifest(2), suspend=suspend)
    repository.push("suspended")
    with operating(repository, tmp_path, "--clock", "2026-06-01T12:00:00+02:00x12"):
        wait_for(lambda: "suspended until" in str(repository.status().get("conditions")), SOON, "Suspended")
        assert instances(hosts, WORKER) == []
        wait_for(lambda: healthy(hosts, WORKER) == 2, SOON, "two workers when the Override has ended")


def test_pinned_volume_keeps_its_data_through_a_replacement(
    hosts: Lab, repository: Repository, tmp_path: Path
) -> None:
    repository.write(db=database_manifest("one"))
    first = repository.push("a database")
    with operating(repository, tmp_path):
        wait_for(lambda: repository.ready(first), SOON, "the database")
        home, row = instances(hosts, "shop/db")[0]
        written = _server_uuid(hosts, home, row)
        assert written
        repository.write(db=database_manifest("two"))
        second = repository.push("the database with another environment")
        wait_for(lambda: repository.ready(second), SOON, "its successor")
        ((again, newer),) = instances(hosts, "shop/db")
        assert (again, newer["Id"] != row["Id"]) == (home, True)
        assert _server_uuid(hosts, again, newer) == written


def _server_uuid(hosts: Lab, host: str, row: Mapping[str, Any]) -> str | None:
    return fetch(hosts.hosts[host], row["Ports"][0]["PublicPort"], "/server-uuid")


def test_host_that_left_git_is_drained(hosts: Lab, repository: Repository, tmp_path: Path) -> None:
    repository.write(web=web_manifest(3))
    first = repository.push("three hosts")
    with operating(repository, tmp_path):
        wait_for(lambda: repository.ready(first), SOON, "three hosts")
        with Sampler(lambda: healthy(hosts, WEB)) as sampler:
            repository.write(**{"host-h3": ""})
            second = repository.push("h3 goes")
            wait_for(lambda: not hosts.containers("h3"), SOON, "h3 to be empty")
            wait_for(lambda: repository.ready(second), SOON, "two hosts")
            wait_for(lambda: len(repository.status()["hosts"]) == 2, SOON, "h3 to be let go")
    assert min(sampler.seen) >= 3


def test_only_one_of_two_daemons_acts(hosts: Lab, repository: Repository, tmp_path: Path) -> None:
    repository.write(worker=worker_manifest(1))
    commit = repository.push("one")
    other = tmp_path / "other"
    other.mkdir()
    with operating(repository, tmp_path) as first, operating(repository, other) as second:
        wait_for(lambda: repository.ready(commit), SOON, "one worker")
        repository.write(worker=worker_manifest(2))
        commit = repository.push("two")
        wait_for(lambda: repository.ready(commit), SOON, "two workers")
        assert slots(hosts, WORKER) == [0, 1]
        acted = [any(line["event"] == "start" for line in one.lines()) for one in (first, second)]
    assert sorted(acted) == [False, True], "the one whose claim of the status branch was taken"


def test_foreign_container_of_the_same_name_is_never_touched(
    hosts: Lab, repository: Repository, tmp_path: Path
) -> None:
    repository.write(worker=worker_manifest(1))
    commit = repository.push("one")
    with operating(repository, tmp_path):
        wait_for(lambda: repository.ready(commit), SOON, "one worker")
        _host, row = instances(hosts, WORKER)[0]
    name = row["Names"][0].removeprefix("/")
    hosts.clear_all()
    for each in hosts.hosts:
        status, _ = hosts.api(each, "POST", f"/containers/create?name={name}", {"Image": row["Image"]})
        assert status == 201
    with operating(repository, tmp_path):
        wait_for(lambda: healthy(hosts, WORKER) == 1, SOON, "a worker under another name")
        wait_for(lambda: "NameTaken" in str(repository.status()["conditions"]), SOON, "it to be named")
    foreign = [one for each in hosts.hosts for one in hosts.containers(each) if not one["Labels"]]
    assert [one["State"] for one in foreign] == ["created"] * 3


def test_two_hosts_that_are_one_engine_are_refused(
    hosts: Lab, repository: Repository, tmp_path: Path
) -> None:
    files = fleet_manifests(hosts.hosts)
    repository.write(twin=files["host-h1"].replace("name: h1", "name: twin"), worker=worker_manifest(3))
    repository.push("a host under two names")
    with operating(repository, tmp_path):
        wait_for(lambda: healthy(hosts, WORKER) == 3, SOON, "three workers")
        wait_for(lambda: "refused" in str(repository.status().get("hosts")), SOON, "the twin to be refused")
        told = {one["name"]: (one["state"], one["detail"]) for one in repository.status()["hosts"]}
    assert told["twin"][0] == "refused"
    assert "is the same Engine as host h1" in told["twin"][1]
    assert slots(hosts, WORKER) == [0, 1, 2]


def test_webhook_wakes_the_operator(hosts: Lab, repository: Repository, tmp_path: Path) -> None:
    repository.write(worker=worker_manifest(1))
    repository.push("one")
    arguments = ("--poll-interval", "600", "--listen", "0")
    with operating(repository, tmp_path, *arguments, secret="s3cret") as operator:
        wait_for(lambda: healthy(hosts, WORKER) == 1, SOON, "one worker")
        port = next(line["port"] for line in operator.lines() if line["event"] == "listening")
        repository.write(worker=worker_manifest(2))
        repository.push("two")
        assert _post(port, b"{}", "sha256=00") == 401
        signature = hmac.new(b"s3cret", b"{}", hashlib.sha256).hexdigest()
        assert _post(port, b"{}", f"sha256={signature}") == 202
        wait_for(lambda: healthy(hosts, WORKER) == 2, 10, "two workers after the webhook")
    assert "s3cret" not in operator.log.read_text()


def _post(port: int, body: bytes, signature: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with closing(connection):
        connection.request("POST", "/webhook/github", body, {"X-Hub-Signature-256": signature})
        return connection.getresponse().status
