"""The web server as its clients meet it: real sockets on loopback, also those of clients that misbehave."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from rota.errors import Fatal
from rota.web.server import MOST_CONNECTIONS, WebServer
from rota.web.webhook import MOST_BODY_BYTES, Hooks, application
from tests.lab.waiting import wait_for

SECRET = "s3cret-ü"
BODY = b'{"ref": "refs/heads/main"}'
PATH = "/webhook/github"


@dataclass
class Site:
    """A running server and what its hooks were told."""

    server: WebServer
    woken: list[str] = field(default_factory=list)
    age: float | None = 0.5

    @property
    def port(self) -> int:
        return self.server.port

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def post(self, body: bytes = BODY, signature: str | None = None) -> tuple[int, str]:
        headers = {} if signature is None else {"X-Hub-Signature-256": signature}
        return self.call("POST", PATH, body, headers)

    def raw(self, content: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection.sendall(content)
        return connection


def signature_of(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def serve(secret: str | None = SECRET) -> Site:
    site: Site
    hooks = Hooks(wake=lambda: site.woken.append("woken"), age=lambda: site.age, oldest=120)
    site = Site(WebServer(application(hooks, secret), "127.0.0.1", 0))
    site.server.start()
    return site


@pytest.fixture
def site() -> Iterator[Site]:
    made = serve()
    yield made
    made.server.stop()
    wait_for(lambda: "rota-web" not in [one.name for one in threading.enumerate()], 5, "the server to end")


def test_a_signed_call_wakes_the_loop(site: Site) -> None:
    assert site.post(signature=signature_of(BODY)) == (202, "accepted\n")
    assert site.woken == ["woken"]


def test_what_is_signed_need_not_be_json(site: Site) -> None:
    for body in (b"", b"\xff\x00", b"[" * 100_000):
        assert site.post(body, signature_of(body))[0] == 202


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "sha256=",
        signature_of(BODY)[:-1],
        signature_of(BODY).upper(),
        signature_of(BODY, "another"),
        signature_of(b"another"),
        signature_of(BODY).removeprefix("sha256="),
        "sha1=" + hmac.new(SECRET.encode(), BODY, hashlib.sha1).hexdigest(),
        "sha256=\xff",
    ],
)
def test_without_the_right_signature_nothing_happens(signature: str | None, site: Site) -> None:
    status, said = site.post(signature=signature)
    assert (status, said) == (401, "the signature in X-Hub-Signature-256 does not match\n")
    assert site.woken == []


def test_a_body_of_a_mebibyte_is_the_largest(site: Site) -> None:
    body = b"a" * MOST_BODY_BYTES
    assert site.post(body, signature_of(body))[0] == 202


def test_a_larger_body_is_refused_as_soon_as_it_is(site: Site) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {MOST_BODY_BYTES * 1000}\r\n\r\n"
    with site.raw(head.encode() + b"a" * (MOST_BODY_BYTES + 1)) as connection:
        assert connection.recv(12) == b"HTTP/1.1 413"
    assert site.woken == []


def test_a_larger_body_is_refused_without_a_stated_length(site: Site) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    with site.raw(head + chunk * 17) as connection:
        assert connection.recv(12) == b"HTTP/1.1 413"
    head = f"POST {PATH} HTTP/1.0\r\nHost: x\r\n\r\n".encode()
    with site.raw(head + b"a" * (MOST_BODY_BYTES * 2)) as connection:
        assert connection.recv(10).startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    assert site.woken == []


def test_a_stated_length_is_not_believed(site: Site) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    with site.raw(head.encode() + BODY):
        pass
    assert site.post(signature=signature_of(BODY))[0] == 202
    assert site.woken == ["woken"]


def test_other_paths_and_methods(site: Site) -> None:
    assert site.call("GET", "/")[0] == 404
    assert site.call("POST", "/webhook/gitlab", BODY)[0] == 404
    assert site.call("GET", "/webhook/github/../../etc/passwd")[0] == 404
    assert site.call("GET", PATH)[0] == 405
    assert site.call("POST", "/healthz", b"")[0] == 405


def test_without_a_secret_there_is_no_webhook() -> None:
    site = serve(secret=None)
    try:
        assert site.post(signature=signature_of(BODY, ""))[0] == 404
        assert site.call("GET", "/healthz")[0] == 200
    finally:
        site.server.stop()


def test_health_follows_the_passes(site: Site) -> None:
    site.age = None
    assert site.call("GET", "/healthz") == (503, "starting: no pass has ended yet\n")
    site.age = 3
    assert site.call("GET", "/healthz") == (200, "ok\n")
    site.age = 121.4
    assert site.call("GET", "/healthz") == (503, "the last pass ended 121s ago\n")


SLOW = (
    b"",
    b"GET /healthz HTTP/1.1\r\nHost: ",
    f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc".encode(),
)
BROKEN = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000,
    b"POST /webhook/github HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /webhook/github HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
)


def test_slow_clients_block_nobody(site: Site) -> None:
    with ExitStack() as stack:
        for content in SLOW * 20:
            stack.enter_context(site.raw(content))
        assert site.post(signature=signature_of(BODY))[0] == 202
        assert site.call("GET", "/healthz")[0] == 200


def test_broken_clients_block_nobody(site: Site) -> None:
    for content in BROKEN:
        with site.raw(content) as connection:
            assert connection.recv(10) in (b"HTTP/1.1 4", b"")
        assert site.call("GET", "/healthz")[0] == 200
    assert site.woken == []


@pytest.mark.parametrize("content", SLOW)
def test_slow_clients_are_hung_up_on(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a hundred of them would be all that is served."""
    monkeypatch.setattr("rota.web.server.IDLE_SECONDS", 0.2)
    monkeypatch.setattr("rota.web.bodies.BODY_SECONDS", 0.2)
    site = serve()
    try:
        with ExitStack() as stack:
            slow = [stack.enter_context(site.raw(content)) for _ in range(MOST_CONNECTIONS + 5)]
            wait_for(lambda: site.call("GET", "/healthz")[0] == 200, 5, "somebody else to be served")
            for connection in slow:
                while connection.recv(4096):
                    pass
    finally:
        site.server.stop()


def test_a_slow_client_does_not_hold_up_the_end(site: Site) -> None:
    with ExitStack() as stack:
        for content in SLOW:
            stack.enter_context(site.raw(content))
        assert site.call("GET", "/healthz")[0] == 200
        site.server.stop()
        assert not site.server._thread.is_alive()


def test_a_hook_that_fails_is_an_error_of_its_call_only(site: Site) -> None:
    def fail() -> float:
        raise ZeroDivisionError

    hooks = Hooks(wake=lambda: None, age=fail)
    server = WebServer(application(hooks, None), "127.0.0.1", 0)
    server.start()
    try:
        broken = Site(server)
        assert broken.call("GET", "/healthz")[0] == 500
        assert broken.call("GET", "/other")[0] == 404
    finally:
        server.stop()


def test_a_port_that_is_taken(site: Site) -> None:
    second = WebServer(application(Hooks(wake=lambda: None, age=lambda: None), None), "127.0.0.1", site.port)
    with pytest.raises(Fatal, match=f"cannot listen on 127.0.0.1 port {site.port}: it is taken") as failed:
        second.start()
    assert "Choose another with --listen." in str(failed.value)
    assert site.call("GET", "/healthz")[0] == 200
    second.stop()


@pytest.mark.parametrize("address", ["203.0.113.7", "nobody.invalid"])
def test_an_address_that_is_not_ours(address: str) -> None:
    server = WebServer(application(Hooks(wake=lambda: None, age=lambda: None), None), address, 0)
    with pytest.raises(Fatal, match="cannot listen on"):
        server.start()
