"""The API as its clients meet it: who may ask, what they get, and that no stream outlives its reader."""

from __future__ import annotations

import base64
import http.client
import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from rota.errors import RotaError
from rota.web.access import Access
from rota.web.api import MOST_STREAMS, api_routes
from rota.web.pump import MOST_PIECES
from rota.web.server import WebServer
from rota.web.views import Absent, CommandQuestion, LogQuestion, LogSource, Unready, Views
from rota.web.webhook import Hooks, application
from tests.lab.waiting import wait_for

TOKEN = "0123456789abcdef"
SECONDS = 10.0


class Tap:
    """An output that is written to by a test. Ends when it is told to, or closed."""

    def __init__(self, *pieces: bytes, code: int = 0, ends: bool = True) -> None:
        self._pieces: queue.SimpleQueue[bytes | RotaError | None] = queue.SimpleQueue()
        self.closed = False
        self.taken = 0
        self._code = code
        for piece in pieces:
            self.write(piece)
        if ends:
            self.end()

    def write(self, piece: bytes | RotaError) -> None:
        self._pieces.put(piece)

    def end(self) -> None:
        self._pieces.put(None)

    def __iter__(self) -> Iterator[bytes]:
        while (piece := self._pieces.get()) is not None:
            if isinstance(piece, RotaError):
                raise piece
            self.taken += 1
            yield piece

    def close(self) -> None:
        self.closed = True
        self.end()

    def exit_code(self) -> int:
        return self._code


@dataclass
class Fleet:
    """What stands behind the API: taps by label, and what was asked."""

    taps: dict[str, Callable[[], Tap]] = field(default_factory=dict)
    asked: list[object] = field(default_factory=list)

    def status(self) -> dict[str, Any]:
        return {"kind": "FleetStatus"}

    def events(self, after: str) -> dict[str, Any]:
        return {"after": after}

    def workload(self, namespace: str, name: str) -> dict[str, Any]:
        if name == "soon":
            raise Unready("ask again")
        if name != "web":
            raise Absent(f"there is no workload {namespace}/{name}")
        return {"name": name}

    def logs(self, question: LogQuestion) -> tuple[LogSource, ...]:
        self.asked.append(question)
        found = [LogSource(label, tap) for label, tap in self.taps.items()]
        return tuple(found if question.slot is None else found[question.slot :][:1])

    def run(self, question: CommandQuestion) -> Callable[[], Tap]:
        self.asked.append(question)
        return next(iter(self.taps.values()))


@dataclass
class Site:
    port: int
    fleet: Fleet
    answers: list[http.client.HTTPResponse] = field(default_factory=list)

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, http.client.HTTPResponse]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        stated = {key.title(): value for key, value in headers.items()} | {"Connection": "close"}
        connection.request(method, f"/api/v1{path}", body, stated)
        self.answers.append(connection.getresponse())  # which has the socket now, and closes it
        return self.answers[-1].status, self.answers[-1]

    def text(self, path: str, **headers: str) -> tuple[int, str]:
        status, answer = self.ask("GET", path, **headers)
        with answer:
            return status, answer.read().decode()

    def run(self, command: object, **headers: str) -> tuple[int, list[dict[str, Any]]]:
        body = json.dumps({"command": command}).encode()
        headers = {"authorization": f"Bearer {TOKEN}"} | headers
        status, answer = self.ask("POST", "/exec/shop/web/0", body, **headers)
        with answer:
            return status, [json.loads(line) for line in answer.read().splitlines()]

    @contextmanager
    def raw(self, path: str) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as connection:
            connection.sendall(f"GET /api/v1{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            yield connection


@contextmanager
def serving(fleet: Fleet, *, token: str | None = TOKEN, address: str = "127.0.0.1") -> Iterator[Site]:
    """`address` is what the API takes for its own; it listens on loopback in any case."""
    views = Views(
        status=fleet.status, events=fleet.events, workload=fleet.workload, logs=fleet.logs, run=fleet.run
    )
    hooks = Hooks(wake=lambda: None, age=lambda: 0.0)
    api = api_routes(views, Access(address=address, token=token))
    server = WebServer(application(hooks, None, api), "127.0.0.1", 0)
    server.start()
    site = Site(server.port, fleet)
    try:
        yield site
    finally:
        server.stop()
        for answer in site.answers:
            answer.close()
        wait_for(
            lambda: not [one for one in threading.enumerate() if one.name.startswith("rota-web")],
            SECONDS,
            "every thread of the server to end",
        )


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


@pytest.fixture
def site(fleet: Fleet) -> Iterator[Site]:
    with serving(fleet) as made:
        yield made


def test_documents(site: Site) -> None:
    assert site.text("/status") == (200, '{"kind":"FleetStatus"}')
    assert site.text("/events?after=x-3") == (200, '{"after":"x-3"}')
    assert site.text("/workloads/shop/web") == (200, '{"name":"web"}')
    assert site.text("/workloads/shop/wob") == (404, '{"error":"there is no workload shop/wob"}')
    assert site.text("/workloads/shop/soon") == (503, '{"error":"ask again"}')
    assert site.text("/nothing")[0] == 404
    assert site.ask("POST", "/status")[0] == 405


# --- who may ask

READ, RUN = "/status", "/exec/shop/web/0"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LocalHost:80", "[::1]:80", "127.9.9.9"])
def test_on_loopback_reading_needs_no_token(site: Site, name: str) -> None:
    assert site.text(READ, host=name)[0] == 200


@pytest.mark.parametrize(
    "name", ["rota.example.com", "localhost.evil.com", "10.0.0.1", "", "[::1", "0.0.0.0"]
)
def test_a_page_that_takes_loopback_for_its_own_reads_nothing(site: Site, name: str) -> None:
    status, said = site.text(READ, host=name)
    assert status == 403 or name == "[::1", said
    assert site.text(READ, host=name, authorization=f"Bearer {TOKEN}")[0] == 200


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "ü"]
)
def test_a_wrong_token_is_refused_even_where_none_is_needed(site: Site, header: str) -> None:
    header = header.encode().decode("latin-1")
    assert site.text(READ, authorization=header)[0] == 401
    assert site.run(["ls"], authorization=header)[0] == 401
    assert site.fleet.asked == []


def test_a_command_always_needs_the_token(site: Site) -> None:
    status, answer = site.ask("POST", RUN, b'{"command": ["ls"]}')
    assert (status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert site.fleet.asked == []


def test_without_a_token_no_command_is_run(fleet: Fleet) -> None:
    with serving(fleet, token=None) as site:
        status, said = site.run(["ls"])
        assert status == 403
        assert "ROTA_API_TOKEN" in said[0]["error"]
        assert site.text(READ)[0] == 200
    assert fleet.asked == []


@pytest.mark.parametrize("address", ["0.0.0.0", "10.0.0.7", "::", "rota.example.com"])
def test_on_another_address_everything_needs_the_token(fleet: Fleet, address: str) -> None:
    with serving(fleet, address=address) as site:
        assert site.text(READ)[0] == 401
        assert site.text(READ, authorization=f"Bearer {TOKEN}")[0] == 200
    with serving(fleet, address=address, token=None) as site:
        status, said = site.text(READ)
        assert (status, "ROTA_API_TOKEN" in said) == (403, True)


def test_the_token_is_in_no_text_of_the_settings() -> None:
    assert TOKEN not in repr(Access(address="127.0.0.1", token=TOKEN))


# --- logs


def test_the_log_of_one_instance_is_as_it_was_written(site: Site, fleet: Fleet) -> None:
    fleet.taps = {"web/0": lambda: Tap(b"a\xff", b"b\n", b"c")}
    status, answer = site.ask("GET", "/logs/shop/web/0?lines=7")
    assert (status, answer.read()) == (200, b"a\xffb\nc")
    assert fleet.asked == [LogQuestion(namespace="shop", name="web", slot=0, lines=7, follow=False)]


def test_the_logs_of_several_instances_are_told_apart_line_by_line(site: Site, fleet: Fleet) -> None:
    fleet.taps = {
        "web/0": lambda: Tap(b"one\ntw", b"o\n"),
        "web/1": lambda: Tap(b"three", RotaError("h2: no answer")),
    }
    status, said = site.text("/logs/shop/web")
    assert status == 200
    assert sorted(said.splitlines()) == [
        "web/0 | one",
        "web/0 | two",
        "web/1 | rota: h2: no answer",
        "web/1 | three",
    ]


def test_a_line_without_an_end_is_passed_on_in_pieces(site: Site, fleet: Fleet) -> None:
    fleet.taps = {"web/0": lambda: Tap(*[b"x" * 50_000] * 4), "web/1": Tap}
    lines = site.text("/logs/shop/web")[1].splitlines()
    assert "".join(line.removeprefix("web/0 | ") for line in lines) == "x" * 200_000
    assert max(map(len, lines)) < 70_000


def test_what_fails_at_once_is_an_error(site: Site, fleet: Fleet) -> None:
    fleet.taps = {"web/0": lambda: Tap(RotaError("h1: no answer"))}
    assert site.text("/logs/shop/web") == (502, '{"error":"h1: no answer"}')


@pytest.mark.parametrize("query", ["lines=-1", "lines=x", "lines=99999999999", "follow=maybe", "lines=١"])
def test_odd_questions(site: Site, query: str) -> None:
    status, said = site.text(f"/logs/shop/web?{query.replace('١', '%D9%A1')}")
    assert (status, "error" in said) == (400, True)
    assert site.text("/logs/shop/web/x")[0] == 400


def test_what_comes_is_sent_as_it_comes_and_ends_with_its_reader(site: Site, fleet: Fleet) -> None:
    tap = Tap(b"first\n", ends=False)
    fleet.taps = {"web/0": lambda: tap}
    with site.raw("/logs/shop/web/0?follow=true") as connection:
        _read_until(connection, b"first")
        tap.write(b"second\n")
        _read_until(connection, b"second")
        assert not tap.closed
    wait_for(lambda: tap.closed, SECONDS, "the log to be closed")


def test_a_silent_log_that_nobody_reads_any_more_is_closed(site: Site, fleet: Fleet) -> None:
    tap = Tap(ends=False)
    fleet.taps = {"web/0": lambda: tap}
    with site.raw("/logs/shop/web/0?follow=true") as connection:
        _read_until(connection, b"200 OK")
    wait_for(lambda: tap.closed, SECONDS, "the log to be closed")


def test_a_reader_that_takes_nothing_stops_the_source_and_is_let_go(
    site: Site, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rota.web.streams.WRITE_SECONDS", 0.5)
    tap = Tap(*[b"x" * (1 << 16)] * 1000, ends=False)
    fleet.taps = {"web/0": lambda: tap}
    with site.raw("/logs/shop/web/0"):
        wait_for(lambda: tap.closed, SECONDS, "the reader to be let go")
    assert tap.taken < 1000 - MOST_PIECES


def test_so_many_streams_and_no_more(site: Site, fleet: Fleet) -> None:
    taps = [Tap(b"x", ends=False) for _ in range(MOST_STREAMS)]
    waiting = iter(taps)
    fleet.taps = {"web/0": lambda: next(waiting)}
    answers = [site.ask("GET", "/logs/shop/web/0?follow=true")[1] for _ in taps]
    for answer in answers:
        assert answer.read(1) == b"x"
    status, said = site.text("/logs/shop/web/0")
    assert (status, said) == (503, '{"error":"8 of these are open, which is the most at a time: close one"}')
    fleet.taps = {"web/0": lambda: Tap(b"done")}
    taps[0].end()
    assert answers[0].read() == b""
    assert site.text("/logs/shop/web/0") == (200, "done")
    for answer in answers:
        answer.close()
    wait_for(lambda: all(tap.closed for tap in taps), SECONDS, "all logs to be closed")


def test_a_server_that_stops_ends_its_streams(fleet: Fleet) -> None:
    tap = Tap(b"x", ends=False)
    fleet.taps = {"web/0": lambda: tap}
    with serving(fleet) as site:
        answer = site.ask("GET", "/logs/shop/web/0?follow=true")[1]
        assert answer.read(1) == b"x"
    wait_for(lambda: tap.closed, SECONDS, "the log to be closed")


# --- commands


def test_a_command_gives_its_output_and_its_code(site: Site, fleet: Fleet) -> None:
    fleet.taps = {"web/0": lambda: Tap(b"\xff\n", b"x", code=3)}
    status, lines = site.run(["sh", "-c", "exit 3"])
    assert status == 200
    assert [base64.b64decode(line["output"]) for line in lines[:-1]] == [b"\xff\n", b"x"]
    assert lines[-1] == {"exitCode": 3}
    assert fleet.asked == [
        CommandQuestion(namespace="shop", name="web", slot=0, command=("sh", "-c", "exit 3"))
    ]


def test_a_command_whose_end_is_not_known(site: Site, fleet: Fleet) -> None:
    fleet.taps = {"web/0": lambda: Tap(b"x", RotaError("h1: no answer"))}
    assert site.run(["ls"])[1][-1] == {"error": "h1: no answer"}
    fleet.taps = {"web/0": lambda: Tap(RotaError("h1: no answer"))}
    assert site.run(["ls"]) == (502, [{"error": "h1: no answer"}])


@pytest.mark.parametrize(
    "command", [[], "ls", None, [1], {"a": 1}, ["x" * 70_000], [["ls"]]], ids=lambda one: str(one)[:9]
)
def test_what_is_no_command(site: Site, command: object) -> None:
    status, (said,) = site.run(command)
    assert (status, "send" in said["error"]) == (400, True)
    assert site.fleet.asked == []


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b"\xff", b"[" * 60_000])
def test_what_is_no_json(site: Site, body: bytes) -> None:
    assert site.ask("POST", RUN, body, authorization=f"Bearer {TOKEN}")[0] == 400


def _read_until(connection: socket.socket, wanted: bytes) -> None:
    found = b""
    while wanted not in found:
        piece = connection.recv(4096)
        assert piece, found
        found += piece
