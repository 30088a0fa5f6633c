"""The day: starts the daemon, plays the acts at their times, and shows it all until the day is over."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live

from rota.app import Daemon
from rota.clock import ShiftedClock
from rota.core.observed import ObservedContainer
from rota.demo.outage import host_to_cut
from rota.demo.screen import picture
from rota.demo.stage import MemoryHosts, Repository, docker_host
from rota.demo.story import Story
from rota.engine.docker import DockerEngine
from rota.reconcile import Pass
from rota.settings import DaemonSettings, GitSettings

BEGINS = "2026-06-01T01:00:00+02:00"
FRAMES_PER_SECOND = 8
STORY_LINES, COMMIT_LINES = 12, 6
COMMIT_AT, KILL_AT = timedelta(hours=9, minutes=30), timedelta(hours=11, minutes=30)
CUT_AT, HEAL_AT = timedelta(hours=13), timedelta(hours=16)
"""After the beginning: at 10:30 a commit scales the web tier, at 12:30 a container is killed, at 14:00 a host
is cut off. At 17:00 it is connected again, but not before its loss is told: that takes more than ten real
seconds, which are hours of a short day."""
FAULT_SECONDS = 20.0


@dataclass(slots=True)
class Theatre:
    """Everything that one run of the demo holds together."""

    daemon: Daemon
    repository: Repository
    clock: ShiftedClock
    story: Story
    kill: Callable[[ObservedContainer], None]
    connect: Callable[[str, bool], None] | None
    latest: Pass | None = None

    def follow(self, last: Pass) -> None:
        """Called by the daemon after each pass, on its thread."""
        self.story.follow(last)
        self.latest = last

    def seen_now(self) -> Pass:
        """The latest pass, with the time as it is now: what is done now is told with it."""
        assert self.latest is not None
        return replace(self.latest, now=self.clock.now())

    def reconnect(self) -> None:
        """Leave no host cut off."""
        outage = self.story.outage
        if outage is not None and not outage.healed and self.connect is not None:
            self.connect(outage.host, True)


def play(endpoints: Mapping[str, str], faults: Sequence[str], seconds: float, console: Console) -> int:
    """One day in about `seconds`; `endpoints` are real hosts by name, none: engines in memory. `faults` is
    the command that cuts a real host off and heals it; empty: none is.

    Returns the exit code: 0 after a whole day, 130 after Ctrl-C.
    """
    clock = ShiftedClock.parse(f"{BEGINS}x{24 * 3600 / seconds:g}")
    where = (
        f"{len(endpoints)} real Docker hosts" if endpoints else "engines in memory: no Docker host is given"
    )
    console.print(f"Rota's demo: a day of the example shop in {seconds:g} s, on {where}.")
    with tempfile.TemporaryDirectory(prefix="rota-demo-") as scratch:
        theatre = _prepare(Path(scratch), endpoints, faults, clock)
        with theatre.daemon:
            runs = threading.Thread(target=theatre.daemon.controller.run, name="rota-passes")
            runs.start()
            try:
                _show(theatre, console)
                code = 0
            except KeyboardInterrupt:
                code = 130
            finally:
                theatre.daemon.controller.stop()
                runs.join()
                theatre.reconnect()
    _close(theatre.story, console)
    return code


def _prepare(
    scratch: Path, endpoints: Mapping[str, str], faults: Sequence[str], clock: ShiftedClock
) -> Theatre:
    repository = Repository(scratch)
    repository.create(endpoints)
    memory = None if endpoints else MemoryHosts(clock)
    settings = DaemonSettings(
        git=GitSettings(repo=str(repository.bare), interval=1.0, status_interval=4.0), data=scratch / "data"
    )
    story = Story()
    theatre: Theatre

    def follow(last: Pass) -> None:
        theatre.follow(last)

    def kill(one: ObservedContainer) -> None:
        if memory is not None:
            memory.engines[one.host].stop_by_hand(one.name)
            return
        engine = DockerEngine(endpoints[one.host])
        try:
            engine.signal(one.id, "SIGKILL")
        finally:
            engine.close()

    daemon = Daemon(
        settings,
        clock,
        open_engine=memory.open if memory is not None else docker_host,
        on_pass=follow,
    )

    def connect(host: str, connected: bool) -> None:
        if memory is not None:
            engine = memory.engines[host]
            engine.heal() if connected else engine.cut()
            return
        subprocess.run([*faults, "heal" if connected else "cut", host], check=True, timeout=FAULT_SECONDS)

    theatre = Theatre(
        daemon=daemon,
        repository=repository,
        clock=clock,
        story=story,
        kill=kill,
        connect=connect if faults or memory is not None else None,
    )
    return theatre


def _show(theatre: Theatre, console: Console) -> None:
    begin = theatre.clock.start
    end = begin + timedelta(hours=24)
    acts = [(begin + COMMIT_AT, _commit), (begin + KILL_AT, _kill)]
    acts += [(begin + CUT_AT, _cut), (begin + HEAL_AT, _heal)] if theatre.connect is not None else []
    frame = threading.Event()
    told = 0
    live = Live(console=console, refresh_per_second=FRAMES_PER_SECOND, screen=False, transient=False)
    with live if console.is_terminal else contextlib.nullcontext() as shown:
        while (now := theatre.clock.now().wall) < end:
            if acts and now >= acts[0][0] and theatre.latest is not None and acts[0][1](theatre):
                acts.pop(0)
            if isinstance(shown, Live):
                shown.update(_frame(theatre, end, now))
            else:
                told = _tell(theatre.story, console, told)
            frame.wait(1 / FRAMES_PER_SECOND)


def _frame(theatre: Theatre, end: datetime, now: datetime) -> RenderableType:
    left = (end - now).total_seconds() / theatre.clock.speed
    story = theatre.story
    return picture(
        theatre.latest,
        story.commits[-COMMIT_LINES:],
        story.lines[-STORY_LINES:],
        f"ends in {left:.0f} s · Ctrl-C",
    )


def _commit(theatre: Theatre) -> bool:
    """A pull request is merged: more web servers by day. Every act returns whether it is done."""
    last = theatre.seen_now()
    theatre.repository.edit("policies/day-night.yaml", "web: 12 ", "web: 14 ")
    commit = theatre.repository.commit("More web servers by day: 14 instead of 12")
    theatre.story.tell(last, f"Commit {commit[:7]} asks for 14 web servers by day instead of 12.")
    theatre.story.expect(last, f"commit {commit[:7]}")
    theatre.daemon.poll_now()
    return True


def _kill(theatre: Theatre) -> bool:
    """Somebody kills a web server on one of the hosts."""
    last = theatre.seen_now()
    for host in last.status.hosts:
        for one in host.view.containers:
            if one.workload.name == "web" and one.ready:
                theatre.story.killed(last, one)
                theatre.kill(one)
                return True
    return False


def _cut(theatre: Theatre) -> bool:
    """A host is cut off from the network; what it runs goes on there, unseen."""
    last = theatre.seen_now()
    assert theatre.connect is not None
    host = host_to_cut(last)
    theatre.story.cut_off(last, host)
    theatre.connect(host, False)
    return True


def _heal(theatre: Theatre) -> bool:
    """The host is connected again, not before its loss is told."""
    outage = theatre.story.outage
    assert outage is not None
    assert theatre.connect is not None
    if not outage.replaced:
        return False
    theatre.story.healed(theatre.seen_now())
    theatre.connect(outage.host, True)
    return True


def _tell(story: Story, console: Console, told: int) -> int:
    """Without a terminal: the story as lines, as it happens."""
    for line in story.lines[told:]:
        console.print(line, highlight=False)
    return len(story.lines)


def _close(story: Story, console: Console) -> None:
    console.print("")
    for line in story.met:
        console.print(f"  {line.text}", highlight=False)
    for text in story.outages:
        console.print(f"  {text}", highlight=False)
    for text, seconds in story.edges:
        console.print(f"  {text}: healthy after {seconds:.1f} s", highlight=False)
    starts, stops = story.done["start done"], story.done["stop done"]
    console.print(
        f"  {starts} instances started, {stops} stopped, {len(story.commits)} commits on rota/status. "
        "Nothing of it is left behind.",
        highlight=False,
    )
