"""`rota logs`, `rota exec` and `rota events --server`: a whole daemon on engines in memory, and its API."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from rota.cli.events import _coming
from rota.cli.server import Server
from rota.clock import SystemClock
from rota.engine.memory import ImageTraits
from rota.web.access import Access
from rota.web.api import api_routes
from rota.web.server import WebServer
from rota.web.webhook import Hooks, application
from tests.cli.oncall import Desk
from tests.gitrepo.origin import Origin
from tests.lab.waiting import wait_for
from tests.operation import SECONDS, Machines, Operation, fleet
from tests.scenarios.repository import Repository

TOKEN = "0123456789abcdef"
TRAITS = ImageTraits(commands={("id",): ("root\n", 0), ("false", "-x"): ("", 3)})


@dataclass
class Room:
    """A daemon that runs, and a desk from which it is asked."""

    operation: Operation
    machines: Machines
    desk: Desk
    url: str

    def write(self, slot: int, line: str) -> None:
        """The instance of a slot writes a line."""
        for engine, one in self.machines.containers():
            if one.labels["rota.slot"] == str(slot):
                engine.write(one.name, line)


@pytest.fixture
def room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Iterator[Room]:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(io.StringIO()))
    origin, machines = Origin(tmp_path / "srv" / "fleet.git"), Machines(SystemClock())
    revision = origin.commit(fleet())
    with Operation(origin, tmp_path / "data", machines) as operation:
        operation.await_ready(revision)
        for engine in machines.engines.values():
            engine.traits["web:1"] = TRAITS
        views = operation.daemon.answers.views()
        api = api_routes(views, Access(address="127.0.0.1", token=TOKEN))
        server = WebServer(application(Hooks(wake=lambda: None, age=lambda: 0.0), None, api), "127.0.0.1", 0)
        server.start()
        url = f"http://127.0.0.1:{server.port}"
        monkeypatch.setenv("ROTA_SERVER", url)
        monkeypatch.setenv("ROTA_API_TOKEN", TOKEN)
        yield Room(operation, machines, Desk(Repository(tmp_path / "work"), capsysbinary), url)
        server.stop()


def test_the_last_lines_of_an_instance(room: Room) -> None:
    for number in range(5):
        room.write(2, f"line {number}")
    assert room.desk.rota("logs", "web/2", "--tail", "2").out == "line 3\nline 4\n"
    assert room.desk.rota("logs", "shop/web/2", "--tail", "0").out == ""


def test_the_logs_of_all_instances(room: Room) -> None:
    room.write(0, "zero")
    room.write(3, "three")
    lines = room.desk.rota("logs", "web").out.splitlines()
    assert sorted(lines) == ["web/0 | zero", "web/3 | three"]


def test_a_command_ends_as_it_ends(room: Room) -> None:
    assert room.desk.rota("exec", "web/1", "--", "id")[::2] == ("root\n", 0)
    assert room.desk.rota("exec", "shop/web/1", "--", "false", "-x").code == 3
    missing = room.desk.rota("exec", "web/1", "nothing")
    assert (missing.code, "not found" in missing.out) == (127, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("logs", "web/9"), 1, "shop/web has no slot 9; it has 0, 1, 2, 3"),
        (("logs", "wob"), 1, "there is no workload wob"),
        (("logs", "shop/wob"), 1, "shop/wob has no instance"),
        (("exec", "web", "id"), 2, "name an instance by its slot: shop/web/0"),
        (("exec", "web/9", "id"), 1, "shop/web has no slot 9"),
        (("events", "--server", "ftp://x"), 2, "give an http or https URL"),
        (("events", "--server", "http://127.0.0.1:1"), 3, "does not answer. Is it there"),
    ],
)
def test_what_cannot_be_asked(room: Room, arguments: tuple[str, ...], code: int, said: str) -> None:
    answer = room.desk.rota(*arguments)
    assert (answer.code, said in answer.err) == (code, True), answer.err


def test_without_the_right_token(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTA_API_TOKEN", "f" * 16)
    said = room.desk.rota("exec", "web/1", "id")
    assert (said.code, "is not the one of this operator" in said.err) == (3, True)
    monkeypatch.delenv("ROTA_API_TOKEN")
    said = room.desk.rota("exec", "shop/web/1", "id")
    assert (said.code, "takes it from ROTA_API_TOKEN or ROTA_API_TOKEN_FILE" in said.err) == (3, True)
    assert room.desk.rota("logs", "web/1").code == 0
    monkeypatch.setenv("ROTA_API_TOKEN", "short")
    assert room.desk.rota("logs", "web/1").code == 2


def test_without_a_server(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROTA_SERVER")
    said = room.desk.rota("logs", "web/1")
    assert (said.code, "--server URL or ROTA_SERVER" in said.err) == (2, True)
    monkeypatch.setenv("ROTA_LISTEN", room.url.rpartition(":")[2])
    assert room.desk.rota("logs", "web/1").code == 0


def test_an_engine_that_does_not_answer(room: Room) -> None:
    for engine in room.machines.engines.values():
        engine.refuse()
    said = room.desk.rota("logs", "web/1")
    assert (said.code, "connection refused" in said.err) == (3, True)


def test_events_of_the_daemon(room: Room) -> None:
    lines = room.desk.rota("events", "--server", room.url, "service/shop/web").out.splitlines()
    assert sum("Started" in line for line in lines) == 4
    items = json.loads(room.desk.rota("events", "--server", room.url, "-o", "json").out)["items"]
    assert items[0]["reason"] == "RevisionAdopted"


def test_a_mark_that_nobody_gave_tells_everything_that_is_kept(room: Room) -> None:
    server = Server(room.url)
    answer = server.ask("/events")
    epoch = answer["next"].partition("-")[0]
    assert server.ask("/events", after=answer["next"])["items"] == []
    assert server.ask("/events", after=f"{epoch}-{'9' * 5000}")["items"] == answer["items"]


def test_events_are_followed(room: Room) -> None:
    server = Server(room.url)
    answer = server.ask("/events")
    told: list[str] = []
    found = threading.Event()

    def follow() -> None:
        for row in _coming(server, answer):
            told.append(str(row["reason"]))
            if row["reason"] == "HostSuspect":
                found.set()
                return

    reader = threading.Thread(target=follow)
    reader.start()
    room.machines.engines["h1"].hang()
    wait_for(found.is_set, SECONDS, "the host to be told of")
    reader.join(SECONDS)
    assert told[-1] == "HostSuspect"
    assert not {"RevisionAdopted", "Started"} & set(told), "what was told before is not told again"
