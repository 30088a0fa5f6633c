"""What only Docker's adapter can meet: transports, certificates, old Engines, servers that misbehave."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.tls import TLSConfig

from rota.core.observed import ContainerState, Health
from rota.engine.docker import DockerEngine
from rota.engine.docker_wire import KNOCK_SECONDS
from rota.engine.port import EngineError, Trouble
from tests.contract.listening import Listening
from tests.contract.stub_server import Stub, as_json, chunked, dripped, plain, pong, raw_stub, silent, stub
from tests.contract.subjects import FLEET, SECONDS, Timed, action
from tests.lab.hosts import Lab
from tests.lab.waiting import wait_for

REGISTRY = {"pull", "registry_reference"}
MARGIN = 3.0
"""Seconds beyond a deadline that a busy machine may take; what is slow here takes longer by far."""
CALLS: dict[str, Callable[[DockerEngine], object]] = {
    "facts": lambda engine: engine.facts(),
    "ping": lambda engine: engine.ping(),
    "containers": lambda engine: engine.containers(FLEET),
    "find": lambda engine: engine.find("one"),
    "has_image": lambda engine: engine.has_image("web:1"),
    "pull": lambda engine: engine.pull("web:1"),
    "create_volume": lambda engine: engine.create_volume("data", {}),
    "create": lambda engine: engine.create(action("one")),
    "start": lambda engine: engine.start("1" * 64),
    "set_restarts": lambda engine: engine.set_restarts("1" * 64, restarts=False),
    "signal": lambda engine: engine.signal("1" * 64, "SIGTERM"),
    "remove": lambda engine: engine.remove("1" * 64),
    "image_reference": lambda engine: engine.image_reference("web:1"),
    "registry_reference": lambda engine: engine.registry_reference("web:1"),
    "last_words": lambda engine: engine.last_words("1" * 64, 5),
    "clock": lambda engine: engine.clock(),
    "logs": lambda engine: list(engine.logs("1" * 64, lines=5, follow=False)),
    "run": lambda engine: engine.run("1" * 64, ("true",)).exit_code(),
    "events": lambda engine: list(engine.events(FLEET)),
}
CHANGES = {"create_volume", "create", "start", "set_restarts", "signal", "remove"}
JUNK = {
    "not JSON": plain(b"<html>", kind="application/json"),
    "half of JSON": plain(b'[{"Id": "1', kind="application/json"),
    "nothing": plain(b""),
    "null": as_json(None),
    "a number": as_json(7),
    "a text": as_json("seven"),
    "an empty list": as_json([]),
    "an empty object": as_json({}),
    "a list of numbers": as_json([1]),
    "a list of empty objects": as_json([{}]),
    "odd fields": as_json([{"Id": "1", "Names": 7, "Ports": [7], "Labels": 7, "State": {}, "Status": 7}]),
    "bytes that are no text": plain(b"\xff\xfe\x00", kind="application/json"),
    "less than promised": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "no status": b"HTTP/1.1 \r\n\r\n",
    "a wrong chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[]\r\n",
    "chunks that end early": chunked(b'{"status"', end=False),
    "lines that are no JSON": chunked(b"{]\n", b"}\n"),
    "lines that are no objects": chunked(b"7\n", b"[]\n", b"null\n"),
    "a redirection": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "a redirection to itself": b"HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n",
    "an error page": plain(b"<html>busy</html>", "503 Service Unavailable", "text/html"),
    "an error of a wrong shape": as_json([7], "500 Internal Server Error"),
    "a false gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    "endless headers": b"HTTP/1.1 200 OK\r\n" + b"X-A: 1\r\n" * 500 + b"\r\n",
    "a long header": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n",
}


def fails(engine: DockerEngine, call: str) -> EngineError:
    with pytest.raises(EngineError) as failed:
        CALLS[call](engine)
    return failed.value


@pytest.fixture
def engine_of() -> Iterator[Callable[..., DockerEngine]]:
    """Opens engines; closes them at the end."""
    engines = []

    def open_engine(endpoint: str, **settings: Any) -> DockerEngine:
        engines.append(DockerEngine(endpoint, **settings))
        return engines[-1]

    yield open_engine
    for engine in engines:
        engine.close()


EngineOf = Callable[..., DockerEngine]


@pytest.mark.lab
def test_a_unix_socket_is_an_endpoint(hosts: Lab, engine_of: EngineOf) -> None:
    engine = engine_of(f"unix://{hosts.host('h1').socket}")
    assert engine.facts().api_version == "1.41"
    engine.remove(engine.create(action("one")))
    stream = engine.events(FLEET)
    engine.create(action("two"))
    assert next(iter(stream)).action == "create"
    stream.close()
    absent = engine_of("unix:///nowhere/docker.sock")
    assert fails(absent, "ping").trouble is Trouble.REFUSED


@pytest.fixture(scope="module")
def sealed(lab: Lab) -> Iterator[Lab]:
    """A host that only answers to clients with a certificate."""
    pytest.importorskip("trustme", reason="a lab with TLS needs trustme")
    with Lab.up(1, name=f"tls{os.getpid() % 10_000}", tls=True) as up:
        yield up


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """The certificate of an authority that nobody knows."""
    trustme = pytest.importorskip("trustme")
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    return path


@pytest.mark.lab
def test_mutual_tls(sealed: Lab, lab: Lab, stranger: Path, engine_of: EngineOf) -> None:
    endpoint, files = sealed.host("h1").endpoint, sealed.client_certificates
    assert files is not None
    mine = (str(files.certificate), str(files.key))
    friend = TLSConfig(client_cert=mine, ca_cert=str(files.ca), verify=True)
    deceived = TLSConfig(client_cert=mine, ca_cert=str(stranger), verify=True)
    anonymous = TLSConfig(ca_cert=str(files.ca), verify=True)

    engine = engine_of(endpoint, certificate=lambda: friend)
    assert engine.facts().api_version == "1.41"
    engine.create(action("one"))
    with Listening(engine.events(FLEET)) as told:
        engine.create(action("two"))
        assert told.next(5).action == "create"

    for tls, said in ((deceived, "unable to get local issuer|self.signed"), (anonymous, "certificate")):
        error = fails(engine_of(endpoint, certificate=lambda tls=tls: tls), "create")
        assert error.trouble is Trouble.UNUSABLE
        assert "TLS: " in str(error)
        assert any(one in str(error) for one in said.split("|"))
    error = fails(engine_of(endpoint), "ping")
    assert (error.trouble, str(error)) == (
        Trouble.UNUSABLE,
        "it wants TLS, and its manifest names no certificate",
    )
    error = fails(engine_of(lab.host("h1").endpoint, certificate=lambda: friend), "ping")
    assert error.trouble is Trouble.UNUSABLE


@pytest.mark.lab
def test_a_call_to_a_cut_host_ends_in_time(hosts: Lab, engine_of: EngineOf) -> None:
    engine = engine_of(hosts.host("h1").endpoint, seconds=SECONDS)
    engine.ping()
    hosts.cut("h1")
    for call in ("containers", "events"):
        with Timed() as timed:
            assert fails(engine, call).trouble is Trouble.SILENT
        assert timed.seconds < SECONDS + KNOCK_SECONDS + MARGIN


def test_the_certificate_is_asked_for_and_may_be_missing(engine_of: EngineOf) -> None:
    def missing() -> TLSConfig | None:
        raise EngineError(Trouble.UNUSABLE, "no such certificate")

    assert str(fails(engine_of("tcp://127.0.0.1:1", certificate=missing), "ping")) == "no such certificate"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("spoken", ["1.30", "1.9", "0.1"])
def test_an_old_engine_is_unusable_and_says_why(spoken: str, call: str, engine_of: EngineOf) -> None:
    with raw_stub(lambda _: iter([pong(spoken)])) as old:
        error = fails(engine_of(old.endpoint), call)
    assert error.trouble is Trouble.UNUSABLE
    said = f"speaks Docker API {spoken}, Rota needs 1.40 or newer; upgrade its Docker Engine"
    assert str(error).endswith(said)


@pytest.mark.parametrize("junk", JUNK)
def test_junk_is_an_engine_error_or_harmless(junk: str, engine_of: EngineOf) -> None:
    with stub(lambda _: iter([JUNK[junk], b""])) as broken:
        engine = engine_of(broken.endpoint)
        for call in CALLS.values():
            try:
                call(engine)
            except EngineError as error:
                assert str(error)


@pytest.mark.parametrize("junk", JUNK)
def test_junk_instead_of_a_pong_is_an_engine_error(junk: str, engine_of: EngineOf) -> None:
    with raw_stub(lambda _: iter([JUNK[junk], b""])) as broken:
        engine = engine_of(broken.endpoint)
        for call in CALLS:
            error = fails(engine, call)
            assert error.trouble in (Trouble.HUNG, Trouble.REJECTED)


@pytest.mark.parametrize("junk", ["latest", "", "1.41-rc", "١.٤١ "])
def test_a_version_that_is_none_is_an_engine_error(junk: str, engine_of: EngineOf) -> None:
    with raw_stub(lambda _: iter([pong(junk)])) as broken:
        assert fails(engine_of(broken.endpoint), "facts").trouble is Trouble.HUNG


LONG = as_json([{"Id": "1" * 64}] * 100)
SLOW: dict[str, Callable[[Stub], Iterator[bytes]]] = {
    "nothing": lambda server: silent(server.over),
    "drips": lambda server: dripped(LONG, server.over),
    "a body that drips": lambda server: after(LONG[:100], dripped(LONG[100:], server.over)),
    "chunks that drip": lambda server: dripped(chunked(*[b"{}\n"] * 100), server.over),
    "a header without end": lambda server: after(
        b"HTTP/1.1 200 OK\r\nX-A: ", dripped(b"a" * 500, server.over)
    ),
    "a body that stops": lambda server: after(LONG[:200], silent(server.over)),
}


def after(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


@pytest.mark.parametrize("slow", SLOW)
@pytest.mark.parametrize("call", ["containers", "create", "pull", "facts", "registry_reference", "clock"])
def test_no_call_outlasts_its_deadline(slow: str, call: str, engine_of: EngineOf) -> None:
    seconds = 0.3
    running: list[Stub] = []
    with stub(lambda _: SLOW[slow](running[0])) as server:
        running.append(server)
        engine = engine_of(server.endpoint, seconds=seconds, pull_seconds=seconds)
        with Timed() as timed:
            error = fails(engine, call)
    expected = Trouble.REJECTED if call in REGISTRY else Trouble.LOST if call in CHANGES else Trouble.HUNG
    assert error.trouble is expected
    assert "within 0.3s" in str(error)
    assert timed.seconds < seconds + MARGIN


def test_a_slow_pong_has_the_same_deadline(engine_of: EngineOf) -> None:
    running: list[Stub] = []
    with raw_stub(lambda _: dripped(pong() * 9, running[0].over)) as server:
        running.append(server)
        engine = engine_of(server.endpoint, seconds=0.3)
        with Timed() as timed:
            assert fails(engine, "create").trouble is Trouble.HUNG, "nothing was asked to change yet"
    assert timed.seconds < 0.3 + MARGIN


def test_an_answer_without_end_is_refused(engine_of: EngineOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rota.engine.docker_http.MOST_ANSWER_BYTES", 100_000)
    with stub(lambda _: as_json(["x" * 200_000])) as server:
        engine = engine_of(server.endpoint)
        assert fails(engine, "containers").trouble is Trouble.HUNG


def test_a_stream_may_be_silent_for_longer_than_a_deadline(engine_of: EngineOf) -> None:
    event = b'{"Action": "start"}\n'
    go = threading.Event()

    def answer(_: str) -> Iterator[bytes]:
        yield chunked(event, b'{"Action": "exec_create: x"}\n', end=False)
        go.wait(5)
        yield b"%x\r\n%s\r\n0\r\n\r\n" % (len(event), event)

    with stub(answer) as server:
        engine = engine_of(server.endpoint, seconds=0.2)
        stream = iter(engine.events(FLEET))
        assert next(stream).action == "start"
        assert not threading.Event().wait(0.4)
        go.set()
        assert next(stream).action == "start"
        with pytest.raises(EngineError, match="the event stream ended"):
            next(stream)


def test_a_stream_that_is_refused_says_why(engine_of: EngineOf) -> None:
    with (
        stub(lambda _: as_json({"message": "busy"}, "500 Busy")) as server,
        pytest.raises(EngineError, match="busy"),
    ):
        engine_of(server.endpoint).events(FLEET)


def test_a_stream_that_is_not_granted_fails_in_time(engine_of: EngineOf) -> None:
    running: list[Stub] = []
    with stub(lambda _: silent(running[0].over)) as server:
        running.append(server)
        with Timed() as timed:
            assert fails(engine_of(server.endpoint, seconds=0.3), "events").trouble is Trouble.HUNG
    assert timed.seconds < 0.3 + MARGIN


@pytest.mark.parametrize("call", ["containers", "create", "pull", "events"])
def test_close_ends_a_call_that_is_under_way(call: str, engine_of: EngineOf) -> None:
    running: list[Stub] = []
    with stub(lambda _: silent(running[0].over)) as server:
        running.append(server)
        engine = engine_of(server.endpoint, seconds=60, pull_seconds=60)
        errors: list[EngineError] = []
        thread = threading.Thread(target=lambda: errors.append(fails(engine, call)))
        thread.start()
        wait_for(lambda: any(not path.endswith("/_ping") for path in server.asked), 5, "the call to be made")
        engine.close()
        thread.join(2)
        assert not thread.is_alive()
    assert errors


def test_a_closed_engine_makes_no_call(engine_of: EngineOf) -> None:
    with stub(lambda _: as_json([])) as server:
        engine = engine_of(server.endpoint)
        engine.containers(FLEET)
        engine.close()
        engine.close()
        server.asked.clear()
        for call in CALLS:
            assert fails(engine, call).trouble in (Trouble.SILENT, Trouble.LOST)
        assert server.asked == []


def test_the_surroundings_have_no_say(
    engine_of: EngineOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(
        '{"auths": 7, "HttpHeaders": {"X-Secret": "1"}, "credsStore": "no"}'
    )
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "DOCKER_HOST"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    with stub(lambda _: as_json([])) as server:
        assert engine_of(server.endpoint).containers(FLEET) == ()


def test_nobody_by_that_name(engine_of: EngineOf) -> None:
    with Timed() as timed:
        assert fails(engine_of("tcp://nobody.invalid:2375"), "ping").trouble is Trouble.SILENT
    assert timed.seconds < 10


@pytest.mark.parametrize("endpoint", ["ssh://root@h1", "tcp://h1:port", "gopher://h1", ""])
def test_an_endpoint_that_cannot_be(endpoint: str, engine_of: EngineOf) -> None:
    error = fails(engine_of(endpoint), "ping")
    assert error.trouble in (Trouble.UNUSABLE, Trouble.SILENT)


def test_a_failed_pull_says_what_the_registry_said(engine_of: EngineOf) -> None:
    progress = b'{"status": "Pulling"}\n'
    with stub(lambda _: chunked(progress, b'{"error": "toomanyrequests: slow down"}\n')) as server:
        error = fails(engine_of(server.endpoint), "pull")
    assert (error.trouble, str(error)) == (Trouble.REJECTED, "pull of web:1: toomanyrequests: slow down")
    with stub(lambda _: as_json({"message": "pull access denied for web"}, "404 Not Found")) as server:
        error = fails(engine_of(server.endpoint), "pull")
    assert (error.trouble, str(error)) == (Trouble.REJECTED, "pull of web:1: pull access denied for web")
    with stub(lambda _: chunked(progress)) as server:
        engine_of(server.endpoint).pull("web:1")


STATUSES = [
    ("running", "Up 3 seconds", ContainerState.RUNNING, Health.NONE, None),
    ("running", "Up 3 seconds (health: starting)", ContainerState.RUNNING, Health.STARTING, None),
    ("running", "Up 5 weeks (healthy)", ContainerState.RUNNING, Health.HEALTHY, None),
    ("running", "Up 5 weeks (unhealthy)", ContainerState.RUNNING, Health.UNHEALTHY, None),
    ("paused", "Up 5 weeks (Paused)", ContainerState.PAUSED, Health.NONE, None),
    ("restarting", "Restarting (1) 2 seconds ago", ContainerState.RESTARTING, Health.NONE, None),
    ("created", "Created", ContainerState.CREATED, Health.NONE, None),
    ("exited", "Exited (137) 2 hours ago", ContainerState.EXITED, Health.NONE, 137),
    ("exited", "Exited (0) Less than a second ago", ContainerState.EXITED, Health.NONE, 0),
    ("removing", "Removal In Progress", ContainerState.REMOVING, Health.NONE, None),
    ("dead", "Dead", ContainerState.DEAD, Health.NONE, None),
    ("thawing", "", ContainerState.DEAD, Health.NONE, None),
]


@pytest.mark.parametrize(("state", "status", "expected", "health", "exit_code"), STATUSES)
def test_a_row_of_the_list(
    state: str,
    status: str,
    expected: ContainerState,
    health: Health,
    exit_code: int | None,
    engine_of: EngineOf,
) -> None:
    ports = [
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 30001, "Type": "tcp"},
        {"IP": "::", "PrivatePort": 80, "PublicPort": 30001, "Type": "tcp"},
        {"PrivatePort": 443, "Type": "tcp"},
    ]
    row = {"Id": "1", "Names": ["/one"], "Labels": None, "State": state, "Status": status, "Ports": ports}
    with stub(lambda _: as_json([row])) as server:
        (one,) = engine_of(server.endpoint).containers(FLEET)
    assert (one.name, one.state, one.health, one.exit_code) == ("one", expected, health, exit_code)
    assert [(port.target, port.published) for port in one.ports] == [(80, 30001)]


def test_nothing_is_left_open(engine_of: EngineOf) -> None:
    def answer(path: str) -> bytes:
        return as_json([]) if "containers/json" in path else plain(b"busy", "500 Busy")

    with stub(answer) as server:
        engine = engine_of(server.endpoint)
        engine.containers(FLEET)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            for call in ("containers", "events", "pull", "create"):
                if call == "containers":
                    engine.containers(FLEET)
                else:
                    fails(engine, call)
        settled = lambda: len(os.listdir("/proc/self/fd")) <= before + 2  # noqa: E731
        wait_for(settled, 2, "connections to be closed on both sides")
