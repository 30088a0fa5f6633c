"""Which silence it is: a host that is gone, an Engine that hangs, or one that is down."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rota.core.container import Check
from rota.engine.docker import DockerEngine
from rota.engine.outside_check import look
from rota.engine.port import EngineError, Trouble
from tests.contract.stub_server import Stub, as_json, chunked, plain, pong, raw_stub, silent, stub
from tests.contract.subjects import FLEET, Timed
from tests.contract.test_docker_engine import MARGIN
from tests.lab.hosts import Lab
from tests.lab.waiting import wait_for

PING_SECONDS = 0.2


def failure(call: Callable[[], object]) -> EngineError:
    with pytest.raises(EngineError) as failed:
        call()
    return failed.value


class Halting:
    """Answers well until `halt`, and never again."""

    def __init__(self) -> None:
        self.server: Stub | None = None
        self._halted = False

    def halt(self) -> None:
        self._halted = True

    def __call__(self, path: str) -> Iterator[bytes]:
        if self._halted:
            assert self.server is not None
            return silent(self.server.over)
        return iter([pong() if path.endswith("/_ping") else as_json([])])


@pytest.fixture
def halting() -> Iterator[Halting]:
    answer = Halting()
    with raw_stub(answer) as server:
        answer.server = server
        yield answer


def test_an_engine_that_accepts_and_is_silent_hangs(halting: Halting) -> None:
    assert halting.server is not None
    engine = DockerEngine(halting.server.endpoint, seconds=1.0, ping_seconds=PING_SECONDS)
    engine.ping()
    engine.containers(FLEET)
    halting.halt()
    for call, seconds in ((engine.ping, PING_SECONDS), (lambda: engine.containers(FLEET), 1.0)):
        with Timed() as timed:
            error = failure(call)
        assert (error.trouble, str(error)) == (
            Trouble.HUNG,
            f"no answer within {seconds:g}s, though its host answers",
        )
        assert timed.seconds < seconds + MARGIN
    engine.close()


def test_who_listens_no_more_is_down_though_a_connection_stands(halting: Halting) -> None:
    assert halting.server is not None
    engine = DockerEngine(halting.server.endpoint, seconds=60.0, ping_seconds=PING_SECONDS)
    engine.containers(FLEET)
    halting.halt()
    halting.server.listener.shutdown(socket.SHUT_RDWR)
    halting.server.listener.close()
    with Timed() as timed:
        assert failure(lambda: engine.containers(FLEET)).trouble is Trouble.REFUSED
    assert timed.seconds < PING_SECONDS + MARGIN, "the rest of its minute is not waited for"
    engine.close()


def test_a_unix_socket_that_is_silent_hangs(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        engine = DockerEngine(f"unix://{path}", ping_seconds=PING_SECONDS)
        assert failure(engine.ping).trouble is Trouble.HUNG
        engine.close()
    assert failure(DockerEngine(f"unix://{path}").ping).trouble is Trouble.REFUSED


def test_after_a_failure_a_connection_is_made_anew() -> None:
    answers = iter([[pong()], [pong()[:20], b""], [pong()]])
    with raw_stub(lambda _: iter(next(answers))) as server:
        engine = DockerEngine(server.endpoint)
        engine.ping()
        assert failure(engine.ping).trouble is Trouble.HUNG, "its host accepts, so it is there"
        engine.ping()
        assert server.connections == 3, "and one that knocked"
        engine.close()


def test_a_connection_serves_many_calls_and_one_that_ended_is_noticed() -> None:
    with stub(lambda path: as_json([]) if "containers/json" in path else as_json({}, "500 Busy")) as server:
        engine = DockerEngine(server.endpoint)
        for _ in range(20):
            engine.containers(FLEET)
        assert server.connections == 1
        server.hang_up()
        engine.containers(FLEET)
        assert server.connections == 2
        engine.close()


def test_a_list_that_did_not_change_is_the_same() -> None:
    rows = [
        {"Id": "1", "Names": ["/one"], "State": "running", "Status": "Up 3 seconds", "Created": 1700000000}
    ]
    with stub(lambda _: as_json(rows)) as server:
        engine = DockerEngine(server.endpoint)
        first = engine.containers(FLEET)
        assert first[0].created == 1700000000
        assert engine.containers(FLEET) is first
        rows[0]["Status"] = "Up 4 seconds (unhealthy)"
        assert engine.containers(FLEET) != first
        engine.close()


@pytest.mark.lab
def test_a_host_that_is_cut_off_is_silent_and_one_that_hangs_is_not(hosts: Lab) -> None:
    engines = {name: DockerEngine(hosts.host(name).endpoint) for name in ("h1", "h2", "h3")}
    for engine in engines.values():
        engine.ping()
    hosts.cut("h1")
    hosts.pause("h2")
    hosts.kill("h3")
    for name, trouble in (("h1", Trouble.SILENT), ("h2", Trouble.HUNG), ("h3", Trouble.REFUSED)):
        for _ in range(2):
            with Timed() as timed:
                assert failure(engines[name].ping).trouble is trouble
            assert timed.seconds < 2 + MARGIN
    with Timed() as timed:
        assert failure(lambda: engines["h1"].containers(FLEET)).trouble is Trouble.SILENT
    assert timed.seconds < 2 + MARGIN, "a list of a host that is gone is not waited for"
    hosts.mend_all()
    for engine in engines.values():
        wait_for(lambda engine=engine: not failing(engine), 20, "an answer")  # type: ignore[misc]
        engine.close()


def failing(engine: DockerEngine) -> bool:
    try:
        engine.ping()
    except EngineError:
        return True
    return False


HTTP, TCP = Check(port=80, path="/up?deep=1", timeout=0.3), Check(port=80, timeout=0.3)


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "302 Found", "399 Odd"])
def test_an_answer_below_400_is_good(status: str) -> None:
    with raw_stub(lambda _: iter([plain(b"", status)])) as server:
        look("127.0.0.1", server.port, HTTP)
        look("127.0.0.1", server.port, TCP)
        assert server.asked == ["/up?deep=1"]
        assert server.headers["host"] == f"127.0.0.1:{server.port}"


def test_a_check_that_fails_says_what_and_how() -> None:
    answers: dict[str, tuple[bytes, Trouble, str]] = {
        "bad": (plain(b"", "503 Busy"), Trouble.REJECTED, "status 503"),
        "odd": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Trouble.REJECTED, "not HTTP"),
        "endless": (b"HTTP/1.1 200 OK\r\n" + b"X-A: 1\r\n" * 500, Trouble.REJECTED, "more than 100 headers"),
    }
    for name, (answer, trouble, said) in answers.items():
        with raw_stub(lambda _, answer=answer: iter([answer])) as server:  # type: ignore[misc]
            error = failure(lambda server=server: look("127.0.0.1", server.port, HTTP))  # type: ignore[misc]
            where = f"GET http://127.0.0.1:{server.port}/up?deep=1"
        assert (error.trouble, str(error)) == (trouble, f"{where}: {said}"), name
    gone = failure(lambda: look("127.0.0.1", server.port, TCP))
    assert (gone.trouble, str(gone)) == (
        Trouble.REFUSED,
        f"TCP 127.0.0.1:{server.port}: connection refused",
    )


def test_a_check_ends_in_time_and_reads_no_body() -> None:
    running: list[Stub] = []

    def drip(_: str) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n"
        while not running[0].over.wait(0.02):
            yield b"X"

    with raw_stub(drip) as server:
        running.append(server)
        with Timed() as timed:
            error = failure(lambda: look("127.0.0.1", server.port, HTTP))
        assert (error.trouble, str(error).endswith("no answer within 0.3s")) == (Trouble.SILENT, True)
        assert timed.seconds < 0.3 + MARGIN
    with raw_stub(lambda _: iter([chunked(b"x" * 1000, end=False)])) as server, Timed() as timed:
        look("127.0.0.1", server.port, HTTP)
    assert timed.seconds < MARGIN


def test_nothing_is_left_open_by_failures() -> None:
    with raw_stub(lambda _: iter([b""])) as server:
        engine = DockerEngine(server.endpoint)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            failure(engine.ping)
            failure(lambda: look("127.0.0.1", server.port, HTTP))
        settled = lambda: len(os.listdir("/proc/self/fd")) <= before + 2  # noqa: E731
        wait_for(settled, 2, "connections to be closed on both sides")
        engine.close()


def test_close_ends_a_ping_that_is_under_way() -> None:
    running: list[Stub] = []
    with raw_stub(lambda _: silent(running[0].over)) as server:
        running.append(server)
        engine = DockerEngine(server.endpoint, seconds=60, ping_seconds=60)
        errors: list[EngineError] = []
        thread = threading.Thread(target=lambda: errors.append(failure(engine.ping)))
        thread.start()
        wait_for(lambda: server.asked, 5, "the ping to be sent")
        engine.close()
        thread.join(2)
        assert not thread.is_alive()
    assert str(errors[0]) == "the connection was closed"
