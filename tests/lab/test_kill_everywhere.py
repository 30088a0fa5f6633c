"""kill -9 of the operator after every single change of a rollout, on real Docker hosts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.lab.hosts import Lab
from tests.lab.operator import (
    Repository,
    Sampler,
    fleet_manifests,
    healthy,
    ids,
    instances,
    operating,
    slots,
    web_manifest,
)
from tests.lab.waiting import wait_for

pytestmark = pytest.mark.lab
SHOP = "shop/web"
SOON, LONGEST = 40.0, 60.0
COUNT = 2
UPDATE = "{maxSurge: 1, minHealthyTime: 200ms, healthyDeadline: 30s}"
STEPS = {"create", "start", "set_restarts", "signal", "remove"}


def test_an_operator_killed_after_each_of_its_changes_ends_as_one_that_lived(
    hosts: Lab, tmp_path: Path
) -> None:
    repository = Repository(tmp_path, hosts.hosts)
    repository.write(**fleet_manifests(hosts.hosts), web=_web("one"))
    first = repository.push("one")
    with operating(repository, tmp_path) as operator:
        wait_for(lambda: repository.ready(first), SOON, "the first deployment")
        assert operator.stop() == 0
    before = ids(hosts, SHOP)
    repository.write(web=_web("two"))
    second = repository.push("two")
    with Sampler(lambda: healthy(hosts, SHOP)) as sampler:
        doomed = _operate_until_done(repository, tmp_path / "data", second)
    assert doomed.returncode == 0, doomed.stderr
    changes = (tmp_path / "data" / "changes").read_text().splitlines()
    steps = Counter(change.split()[0] for change in changes)
    assert set(steps) == STEPS
    assert steps["create"] == steps["start"] == steps["remove"] == COUNT, "nothing was done twice"
    assert min(sampler.seen) >= COUNT
    assert max(sampler.seen) <= COUNT + 1
    every = [row for name in hosts.hosts for row in hosts.containers(name)]
    assert len(every) == COUNT, "no container is left over"
    assert slots(hosts, SHOP) == list(range(COUNT))
    assert not ids(hosts, SHOP) & before
    assert {row["Labels"]["rota.revision"] for _, row in instances(hosts, SHOP)} == {second}


def _operate_until_done(
    repository: Repository, data: Path, revision: str
) -> subprocess.CompletedProcess[str]:
    """Daemon after daemon, each killed by its first new change."""
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-m", "tests.lab.doomed", str(repository.bare), str(data), revision],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "operator")},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )


def _web(note: str) -> str:
    manifest = web_manifest(COUNT, environment=f"{{NOTE: {note}}}", update=UPDATE)
    return manifest.replace("interval: 1s", "interval: 500ms")
