"""What people on call do: ask a real daemon, and take a host out that holds a database."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.hosts import Lab
from tests.lab.operator import (
    Repository,
    Sampler,
    database_manifest,
    fleet_manifests,
    healthy,
    ids,
    instances,
    operating,
    web_manifest,
)
from tests.lab.waiting import wait_for

pytestmark = pytest.mark.lab
SHOP, DATABASE = "shop/web", "shop/db"
SOON = 40.0
TOKEN = "0123456789abcdef"
DRAIN = """
apiVersion: rota/v1
kind: Override
metadata: {{name: maintenance, namespace: shop}}
spec:
  target: {{kind: Host, name: {host}}}
  drain: {{deadline: 1h}}
  until: "2099-01-01T00:00:00+00:00"
  reason: a test
"""


class Desk:
    """Where somebody types commands, in the repository."""

    def __init__(self, repository: Repository, port: int) -> None:
        self._folder = repository.bare
        self.url = f"http://127.0.0.1:{port}"
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2] / "operator"),
            "ROTA_SERVER": self.url,
            "ROTA_API_TOKEN": TOKEN,
        }

    def rota(self, *arguments: str) -> str:
        """What a command says; it has to end well."""
        done = subprocess.run(
            [sys.executable, "-m", "rota.cli", *arguments],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SOON,
        )
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout


def test_a_host_with_a_database_is_drained_and_taken_back(
    hosts: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROTA_API_TOKEN", TOKEN)
    repository = Repository(tmp_path, hosts.hosts)
    repository.write(**fleet_manifests(hosts.hosts), web=web_manifest(3), db=database_manifest("one"))
    commit = repository.push("a shop with a database")
    with operating(repository, tmp_path, "--listen", "0") as operator:
        wait_for(lambda: repository.ready(commit), SOON, "the shop")
        port = next(line["port"] for line in operator.lines() if line["event"] == "listening")
        desk = Desk(repository, port)
        _ask_about(desk, repository)
        ((home, database),) = instances(hosts, DATABASE)
        with Sampler(lambda: healthy(hosts, SHOP)) as sampler:
            repository.write(drain=DRAIN.format(host=home))
            drained = repository.push("drain the host of the database")
            plan = desk.rota("plan", "--rev", drained)
            assert f"Drain of {home}:" in plan
            assert f"{DATABASE}/0 is stopped by force" in plan
            wait_for(lambda: not ids(hosts, SHOP, home), SOON, "the web servers to leave")
            wait_for(
                lambda: "stopped by force at" in repository.document(f"hosts/{home}.json")["drain"],
                SOON,
                "it to be said what will be forced",
            )
            repository.write(drain="")
            again = repository.push("take it back")
            wait_for(lambda: repository.ready(again), SOON, "the drain to be over")
        assert min(sampler.seen) >= 3, "they left without a gap"
        assert ids(hosts, DATABASE) == {database["Id"]}, "the database was never touched"


def _ask_about(desk: Desk, repository: Repository) -> None:
    """The verbs of people on call, each asked once."""
    assert desk.rota("logs", "shop/web/0", "--tail", "1") == "serve: listening on port 8080\n"
    assert desk.rota("exec", "shop/web/0", "--", "cat", "/etc/port") == "8080\n"
    assert "3 of 3" in desk.rota("describe", "service/shop/web")
    assert desk.rota("events", "service/shop/web", "--server", desk.url).count("Started") == 3
    checked = desk.rota("check", "--repo", str(repository.bare))
    assert checked.count("clock of h") == 3
    assert "NO " not in checked
