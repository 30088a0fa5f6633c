"""`rota operator` and `rota check` as commands: what they print and how they end where things are missing."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest

from tests.cli.test_main import rota
from tests.scenarios.repository import Repository

NOON = "2026-06-01T12:00:00+02:00"
FLEET = (
    "apiVersion: rota/v1\nkind: Fleet\nmetadata: {name: small, uid: 0badcafe}\n"
    "spec: {failure: {heartbeat: 250ms, suspectAfter: 500ms, lostAfter: 1s, engineDownAfter: 2s}}\n"
)
HOST = (
    "apiVersion: rota/v1\nkind: Host\nmetadata: {{name: {name}}}\n"
    "spec: {{endpoint: 'unix://{folder}/{name}.sock', capacity: {{cpu: 2, memory: 4Gi}}}}\n"
)
SERVICE = (
    "apiVersion: rota/v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec:\n  replicas: 2\n"
    "  container: {image: 'web:1', environment: {TOKEN: not-to-be-shown}}\n"
    "  resources: {requests: {cpu: 500m, memory: 1Gi}}\n"
)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Two hosts whose Engines are not there."""
    made = Repository(tmp_path / "work")
    hosts = {f"{name}.yaml": HOST.format(name=name, folder=tmp_path) for name in ("h1", "h2")}
    made.write({"fleet.yaml": FLEET, "web.yaml": SERVICE, **hosts})
    made.commit("Small")
    return made


def operator(
    folder: Path, repository: Repository, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    url = f"file://{repository.path}"
    return rota(folder, "operator", "--repo", url, "--data", str(folder / "state"), *arguments, **environment)


def told(done: subprocess.CompletedProcess[bytes]) -> list[str]:
    """What stands on stderr beside the log, which is JSON where nobody watches."""
    lines = done.stderr.decode().splitlines()
    for line in lines:
        if line.startswith("{"):
            json.loads(line)
    return [line for line in lines if not line.startswith("{")]


def branches(repository: Repository) -> str:
    return repository.git("branch", "--list", "--all", "--format=%(refname)")


def test_a_dry_run_prints_a_plan_and_changes_nothing(repository: Repository, tmp_path: Path) -> None:
    done = operator(tmp_path, repository, "--once", "--dry-run", "--clock", NOON)
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith("Plan for ")
    assert "(observed: the hosts, 2026-06-01T10:00:0" in lines[0]
    assert lines[1:] == [
        "! dry run: nothing is changed",
        "~ Service shop/web   (2 unplaced)",
        "! Service shop/web: 2 of 2 instances have no place",
        *(line for line in lines if line.startswith("    h")),
        "Plan: 2 unplaced",
    ]
    assert any("h1" in line and "refused" in line for line in lines), lines
    assert done.returncode == 4
    assert told(done) == []
    assert branches(repository) == "refs/heads/main"
    assert b"not-to-be-shown" not in done.stdout + done.stderr


def test_once_on_an_invalid_commit_tells_every_problem(repository: Repository, tmp_path: Path) -> None:
    repository.edit("web.yaml", "replicas", "replicsa")
    (repository.path / "h1.yaml").write_text("kind: [\n")
    commit = repository.commit("Mistakes")
    done = operator(tmp_path, repository, "--once", "--dry-run")
    assert done.returncode == 1
    assert done.stdout == b""
    lines = told(done)
    assert [line.split(":")[0] for line in lines] == ["h1.yaml", "web.yaml", "rota"]
    assert "Did you mean" in lines[1]
    assert lines[2] == (
        f"rota: commit {commit[:12]} has 2 problems and is not applied; there is no revision before it"
    )


@pytest.mark.parametrize("what", ["no-such-repository", "no-such-branch"])
def test_once_on_what_cannot_be_reached(repository: Repository, tmp_path: Path, what: str) -> None:
    if what == "no-such-repository":
        url = f"file://{tmp_path}/nothing"
        done = rota(tmp_path, "operator", "--repo", url, "--data", str(tmp_path / "state"), "--once")
        said = "could not be asked for its branches"
    else:
        done = operator(tmp_path, repository, "--once", "--branch", "production")
        said = "The branch production does not exist in"
    assert done.returncode == 3
    (line,) = told(done)
    assert line.startswith("rota: ")
    assert said in line


def test_once_without_hosts_ends_with_what_has_no_place(repository: Repository, tmp_path: Path) -> None:
    done = operator(tmp_path, repository, "--once", "--timeout", "20")
    assert done.returncode == 4, done.stderr
    assert "refs/heads/rota/status" in branches(repository)
    document = json.loads(repository.git("show", "rota/status:status.json"))
    assert {one["state"] for one in document["hosts"]} <= {"refused", "lost"}
    assert document["conditions"][0]["reason"] == "Missing", "the status branch says what came of it"
    assert rota(repository.path, "status").returncode == 1


def test_a_pause_is_told(repository: Repository, tmp_path: Path) -> None:
    pause = tmp_path / "pause"
    pause.touch()
    (repository.path / "web.yaml").unlink()
    repository.commit("Nothing to run")
    done = operator(tmp_path, repository, "--once", "--pause-file", str(pause))
    assert done.returncode == 1
    assert told(done) == [f"rota: paused: {pause} exists on the operator's machine"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--poll-interval", "0"), "--poll-interval 0"),
        (("--poll-interval", "often"), "'--poll-interval'"),
        (("--listen", "nowhere"), "--listen 'nowhere'"),
        (("--operator-id", "a b"), "--operator-id 'a b'"),
        (("--clock", "noon"), "--clock 'noon'"),
        (("--clock", f"{NOON}x0"), "--clock"),
        (("--branch", "a b"), "'a b' is not a branch name"),
        (("--status-branch", "main"), "--status-branch"),
        (("--repo", "ftp://x/y"), "ftp://x/y is not supported"),
        (("--repo", "https://u:pa55@x/y"), "carries a user or a password"),
        (("--repo", "relative/path"), "neither a URL nor an absolute path"),
        (("--repo", "git@x:y"), "Write ssh://git@x/y instead"),
        (("--data", "/proc/rota"), "--data /proc/rota"),
        (("--config", "/nothing.yaml"), "'--config'"),
        (("--git-password", "pa55"), "--git-password"),
        (("--fast",), "--fast"),
        (("extra",), "extra"),
    ],
)
def test_bad_settings_are_named(
    repository: Repository, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = operator(tmp_path, repository, "--once", "--dry-run", *arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr.decode().splitlines()[-1]
    assert b"pa55@" not in done.stderr
    assert done.stdout == b""


def test_a_port_that_is_taken(repository: Repository, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = operator(tmp_path, repository, "--listen", str(port))
    assert done.returncode == 2
    assert told(done)[-1].startswith(f"rota: cannot listen on 127.0.0.1 port {port}: ")


def test_two_operators_do_not_share_a_folder(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with (tmp_path / "state" / "lock").open("a+") as lock:
        import fcntl  # noqa: PLC0415

        fcntl.flock(lock, fcntl.LOCK_EX)
        done = operator(tmp_path, repository, "--once")
    assert done.returncode == 2
    assert "another operator" in told(done)[-1]


def check(folder: Path, repository: Repository, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return rota(folder, "check", "--repo", f"file://{repository.path}", *arguments)


def test_check_tells_of_every_host(repository: Repository, tmp_path: Path) -> None:
    head = repository.git("rev-parse", "HEAD")
    done = check(tmp_path, repository)
    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()
    assert lines[:3] == [
        f"ok  git: main is at {head[:12]}",
        "ok  push to rota/status: allowed",
        "ok  manifests: 4 valid",
    ]
    for name, line in zip(("h1", "h2"), lines[3:], strict=True):
        assert line.startswith(f"NO  host {name}: unix://{tmp_path}/{name}.sock: ")
        assert len(line) > len(f"NO  host {name}: unix://{tmp_path}/{name}.sock: ")
    assert told(done) == ["2 things to mend before the operator can do its work"]
    assert branches(repository) == "refs/heads/main"


def test_check_takes_the_settings_of_the_operator(repository: Repository, tmp_path: Path) -> None:
    config = tmp_path / "rota.yaml"
    config.write_text("branch: production\n")
    done = check(tmp_path, repository, "--config", str(config))
    assert done.returncode == 1
    assert done.stdout.startswith(b"NO  git: The branch production does not exist in ")


def test_check_of_an_invalid_commit_has_a_line_per_problem(repository: Repository, tmp_path: Path) -> None:
    repository.edit("web.yaml", "replicas", "replicsa")
    (repository.path / "h1.yaml").write_text("kind: [\n")
    repository.commit("Mistakes")
    done = check(tmp_path, repository)
    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()[2:]
    assert [line.partition(":")[0] for line in lines] == ["NO  manifests", "NO  manifests"]


def test_check_of_a_certificate_that_is_not_there(repository: Repository, tmp_path: Path) -> None:
    endpoint = f"unix://{tmp_path}/h1.sock'"
    repository.edit("h1.yaml", f"'{endpoint}", "tcp://127.0.0.1:1, tls: fleet")
    repository.commit("TLS")
    done = check(tmp_path, repository)
    assert b"NO  host h1: tcp://127.0.0.1:1: its manifest names the certificate 'fleet'" in done.stdout
    done = check(tmp_path, repository, "--tls", str(tmp_path))
    assert f"and {tmp_path}/fleet/ca.pem is missing".encode() in done.stdout
