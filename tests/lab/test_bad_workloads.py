"""Workloads that fail on real Docker hosts: bad specs, crashes, lack of memory, taken ports, full disks."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.lab import network
from tests.lab.containers import Container, execute, fetch, start
from tests.lab.hosts import Lab
from tests.lab.images import ABSENT
from tests.lab.operator import (
    WEB,
    WORKER,
    Operator,
    Repository,
    Sampler,
    fleet_manifests,
    ids,
    instances,
    operating,
    web_manifest,
)
from tests.lab.packages import busybox
from tests.lab.waiting import wait_for

pytestmark = pytest.mark.lab
SOON = 40.0
IMPATIENT = "{maxSurge: 1, minHealthyTime: 1s, healthyDeadline: 2s, progressDeadline: 3s}"
SECRET = "hunter2-of-the-lab"
PORT = 9100


@pytest.fixture
def repository(tmp_path: Path, hosts: Lab) -> Repository:
    """The lab's hosts as a fleet, without a workload yet."""
    made = Repository(tmp_path, hosts.hosts)
    made.write(**fleet_manifests(hosts.hosts))
    return made


def test_a_spec_that_fails_is_rolled_back_while_the_one_before_serves(
    hosts: Lab, repository: Repository, tmp_path: Path
) -> None:
    repository.write(web=web_manifest(3, update=IMPATIENT))
    first = repository.push("good")
    with operating(repository, tmp_path):
        wait_for(lambda: repository.ready(first) and _is_good(repository), SOON, "a spec to return to")
        before = ids(hosts, "shop/web")
        with Sampler(lambda: len(before & ids(hosts, "shop/web"))) as served:
            repository.write(web=web_manifest(3, update=IMPATIENT, environment='{FAIL_HEALTH: "1"}'))
            _rolled_back(repository, repository.push("never healthy"))
            repository.write(web=web_manifest(3, ABSENT, update=IMPATIENT))
            _rolled_back(repository, repository.push("an image that does not exist"))
            assert repository.told(ABSENT)
        assert set(served.seen) == {3}, "what served was never touched"
    assert ids(hosts, "shop/web") == before


def _is_good(repository: Repository) -> bool:
    """Whether the spec has soaked everywhere: the status branch tells of no rollout any more."""
    return repository.document("workloads/shop/web.json")["rollout"] is None


def _rolled_back(repository: Repository, commit: str) -> None:
    """Wait until the failure of `commit` is told, and every container of it is gone."""
    wait_for(partial(repository.told, f"RolledBack: commit {commit[:7]} failed"), SOON, "RolledBack")
    wait_for(lambda: _instances_told(repository, "web") == 3, SOON, "what was tried to be gone")


def _instances_told(repository: Repository, name: str) -> int:
    return len(repository.document(f"workloads/shop/{name}.json")["instances"])


def service(name: str, container: str, *, zones: str = "[a, b]", more: str = "") -> str:
    """One instance in some of the zones; h1 is in a, h2 in b, h3 in c."""
    return f"""
apiVersion: rota/v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec:
  container: {container}
  resources: {{requests: {{cpu: 100m, memory: 16Mi}}, limits: {{memory: 16Mi}}}}
  placement: {{hostSelector: {{matchExpressions: [{{key: zone, operator: In, values: {zones}}}]}}}}
  update: {{minHealthyTime: 200ms, healthyDeadline: 30s}}
  {more}
"""


CHECKED = service(
    "checked",
    f'{{image: "{WEB}", command: [serve], ports: [{{name: http, target: 8080}}], stop_grace_period: 1s, '
    'environment: {START_DELAY: "2"}}',
    more="check: {http: {port: http, path: /up}, interval: 200ms, timeout: 500ms, fall: 2, rise: 1}",
)
CRASHING = service(
    "crashing",
    f'{{image: "{WORKER}", command: [sh, -c, "env; exit 3"], environment: {{DB_PASSWORD: {SECRET}}}}}',
)
GREEDY = service("greedy", f'{{image: "{WORKER}", command: [tail, /dev/zero]}}')
FIXED = service(
    "fixed",
    f'{{image: "{WEB}", command: [serve], ports: [{{name: http, target: 8080, published: {PORT}}}]}}',
    zones="[a, b, c]",
)
FULL = service("full", f'{{image: "{WORKER}", command: [work]}}', zones="[b, c]")


def test_what_fails_on_one_host_runs_on_another_and_is_told(
    hosts: Lab, repository: Repository, tmp_path: Path
) -> None:
    """Each service meets its own misfortune; one operator sees to all of them."""
    start(hosts, "h2", Container(name="foreign", image=WEB, publish=PORT))
    with network.listening(hosts.host("h1"), str(busybox()), PORT):
        hosts.fill_disk("h3")
        repository.write(checked=CHECKED, crashing=CRASHING, greedy=GREEDY, full=FULL)
        repository.push("misfortunes")
        with operating(repository, tmp_path) as operator:
            _check_from_outside(hosts, repository)
            _moved(repository, "crashing", "exit 3")
            _moved(repository, "greedy", "killed for lack of memory")
            _no_secret(repository, operator)
            wait_for(lambda: _where(hosts, "full") == ["h2"], SOON, "a host with room on its disk")
            hosts.free_disk("h3")
            repository.write(fixed=FIXED, crashing="", greedy="")
            repository.push("a port that is taken on two of three hosts")
            wait_for(lambda: _where(hosts, "fixed") == ["h3"], SOON, "the host where the port is free")
            wait_for(partial(fetch, hosts.host("h3"), PORT), SOON, "it to answer there")
    assert [one["State"] for one in hosts.containers("h2") if one["Names"] == ["/foreign"]] == ["running"]


def _check_from_outside(hosts: Lab, repository: Repository) -> None:
    """Ready once it is answered, replaced when it is not any more."""

    def health() -> list[str]:
        found = repository.document("workloads/shop/checked.json").get("instances", ())
        return [one["health"] for one in found]

    wait_for(lambda: health() == ["starting"], SOON, "an instance that does not answer yet")
    wait_for(lambda: health() == ["healthy"], SOON, "it to answer")
    ((host, row),) = instances(hosts, "shop/checked")
    assert fetch(hosts.host(host), row["Ports"][0]["PublicPort"]) == "up"
    execute(hosts, host, row["Id"], "killall", "-STOP", "httpd")
    wait_for(lambda: ids(hosts, "shop/checked") - {row["Id"]}, SOON, "it to be replaced")
    wait_for(lambda: _causes(repository, "shop/checked", "stop") == {"unhealthy"}, SOON, "the cause")
    wait_for(lambda: health() == ["healthy"], SOON, "its successor to answer")


def _causes(repository: Repository, workload: str, kind: str) -> set[str]:
    """Why something was done to a workload, by the events of the status branch."""
    return {
        one["cause"]
        for one in repository.events()
        if (one["object"], one["event"]) == (f"Service {workload}", kind)
    }


def _moved(repository: Repository, name: str, why: str) -> None:
    """Wait until a service that keeps dying was tried on both hosts it may be on, and why is told."""

    def on_both() -> bool:
        started = {
            one["host"]
            for one in repository.events()
            if (one["object"], one["reason"]) == (f"Service shop/{name}", "Started")
        }
        return started == {"h1", "h2"}

    wait_for(on_both, SOON, f"{name} to be moved")
    wait_for(lambda: why in repository.document(f"workloads/shop/{name}.json")["reason"], SOON, "the reason")


def _where(hosts: Lab, name: str) -> list[str]:
    """The hosts that have a container of a service, running or about to be again."""
    return [
        host
        for host in hosts.hosts
        for row in hosts.containers(host)
        if row["Labels"].get("rota.workload") == f"shop/{name}" and row["State"] != "created"
    ]


def _no_secret(repository: Repository, operator: Operator) -> None:
    """The last words are told, the password among them is not, nowhere."""
    document: dict[str, Any] = repository.document("workloads/shop/crashing.json")
    assert any("DB_PASSWORD=***" in line for line in document["log"])
    told = repository.everything()
    assert SECRET not in told
    assert SECRET not in operator.log.read_text()
