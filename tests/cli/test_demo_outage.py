"""What the demo tells of a host that is cut off and comes back: a whole daemon on engines in memory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import structlog

from rota.clock import SystemClock
from rota.demo.outage import host_to_cut
from rota.demo.story import Story
from rota.reconcile import Pass
from tests.gitrepo.origin import Origin
from tests.lab.waiting import wait_for
from tests.operation import FLEET, SECONDS, SERVICE, Machines, Operation, fleet

POLICY = """\
apiVersion: rota/v1
kind: CapacityPolicy
metadata: {name: all-day, namespace: shop}
spec: {timeZone: Europe/Berlin, base: {replicas: {web: COUNT}}}
"""
QUICK = FLEET.replace("spec: {}", "spec: {failure: {heartbeat: 200ms, lostAfter: 1s}}")


@pytest.fixture(autouse=True)
def quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))


@pytest.mark.parametrize(
    ("count", "elsewhere"),
    [
        (4, "2 of the 2 instances of h2 healthy elsewhere N s after the cut."),
        (
            12,
            "2 of the 6 instances of h2 healthy elsewhere N s after the cut; 4 find no room and wait for it.",
        ),
    ],
)
def test_the_story_of_an_outage(count: int, elsewhere: str, tmp_path: Path) -> None:
    """Each host has room for eight."""
    origin, machines, story = Origin(tmp_path / "fleet.git"), Machines(SystemClock()), Story()
    revision = origin.commit(fleet(fleet=QUICK, policy=POLICY.replace("COUNT", str(count)), web=SERVICE))
    with Operation(origin, tmp_path / "data", machines) as operation:
        last = operation.await_ready(revision)
        host = host_to_cut(last)
        story.cut_off(last, host)
        machines.engines[host].cut()
        _tell_until(operation, story, "healthy elsewhere")
        story.healed(operation.last)
        machines.engines[host].heal()
        _tell_until(operation, story, "is back")
    told = [re.sub(r"\d+\.\d s", "N s", line.partition("  ")[2]) for line in story.lines]
    ran = elsewhere.partition(" instances")[0].rpartition(" ")[2]
    assert told == [
        f"{host} is cut off from the network, with {ran} instances on it.",
        f"{host} is lost N s after the cut: what it ran starts elsewhere.",
        elsewhere,
        f"{host} is connected again.",
        f"{host} is back: what it still ran was adopted, 2 duplicates stopped.",
    ]
    assert story.outages[1:] == [f"{host} came back: 2 duplicates settled"]


def _tell_until(operation: Operation, story: Story, word: str) -> None:
    """Tell the story of every pass until a line of it says `word`."""
    seen: list[Pass] = []

    def told() -> bool:
        fresh = operation.passes[len(seen) :]
        seen.extend(fresh)
        for last in fresh:
            story.follow(last)
        return any(word in line for line in story.lines)

    seen.extend(operation.passes)
    wait_for(told, SECONDS, word)
