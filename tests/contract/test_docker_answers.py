"""What Docker's adapter reads from answers beyond the list: images, output, commands, clocks, events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from rota.clock import SystemClock
from rota.engine.docker import DockerEngine
from rota.engine.port import ContainerEvent, EngineError, Trouble
from tests.contract.listening import Listening
from tests.contract.stub_server import as_json, chunked, plain, stub
from tests.contract.subjects import FLEET, WEB, WORKER, DockerSubject, action, run
from tests.lab.hosts import Lab
from tests.lab.waiting import wait_for

ID = "sha256:" + "1" * 64
DIGEST = "sha256:" + "2" * 64
CONTAINER = "3" * 64


def asked(answer: Callable[[str], bytes | Iterator[bytes]], call: Callable[[DockerEngine], Any]) -> Any:
    """What `call` makes of what a server answers."""
    with stub(answer) as server:
        engine = DockerEngine(server.endpoint)
        try:
            return call(engine)
        finally:
            engine.close()


def frame(content: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(content).to_bytes(4, "big") + content


@pytest.mark.parametrize(
    ("image", "digests", "expected"),
    [
        ("shop/web:1", [f"shop/web@{DIGEST}"], f"shop/web@{DIGEST}"),
        ("registry.example:5000/shop/web", [f"registry.example:5000/shop/web@{DIGEST}"], None),
        ("docker.io/library/nginx:1.25", [f"nginx@{DIGEST}"], f"nginx@{DIGEST}"),
        ("shop/web:1", [f"elsewhere/web@{DIGEST}"], ID),
        (f"shop/web@{DIGEST}", [f"shop/web@{ID}", f"shop/web@{DIGEST}"], f"shop/web@{DIGEST}"),
        ("shop/web:1", None, ID),
        (ID, [f"shop/web@{DIGEST}"], ID),
    ],
)
def test_an_image_is_known_by_the_digest_of_its_own_registry(
    image: str, digests: list[str] | None, expected: str | None
) -> None:
    inspected = {"Id": ID, "RepoDigests": digests}
    found = asked(lambda _: as_json(inspected), lambda engine: engine.image_reference(image))
    assert found == (expected if expected is not None else digests and digests[0])


def test_an_image_that_is_absent_has_no_reference() -> None:
    absent = as_json({"message": "No such image: web:1"}, "404 Not Found")
    assert asked(lambda _: absent, lambda engine: engine.image_reference("web:1")) is None


def test_a_registry_says_what_a_name_stands_for() -> None:
    paths: list[str] = []

    def answer(path: str) -> bytes:
        paths.append(path)
        return as_json({"Descriptor": {"digest": DIGEST}})

    image = "registry.example:5000/shop/web:1.6"
    assert asked(answer, lambda engine: engine.registry_reference(image)) == (
        f"registry.example:5000/shop/web@{DIGEST}"
    )
    assert paths == [f"/v1.41/distribution/{image}/json"]


@pytest.mark.parametrize("status", ["401 Unauthorized", "404 Not Found", "500 Internal Server Error"])
def test_a_registry_that_says_no_is_no_trouble_of_the_engine(status: str) -> None:
    denied = as_json({"message": "denied: image of nobody"}, status)
    with pytest.raises(EngineError, match="digest of web:1: denied: image of nobody") as failed:
        asked(lambda _: denied, lambda engine: engine.registry_reference("web:1"))
    assert failed.value.trouble is Trouble.REJECTED


def output(content: bytes, *, terminal: bool = False) -> Callable[[str], bytes]:
    """A container, and what it has written."""
    return lambda path: as_json({"Config": {"Tty": terminal}}) if path.endswith("/json") else plain(content)


def test_last_words_are_text_of_bounded_size() -> None:
    said = frame(b"one\ntwo\n") + frame("grüße \x1b[31m\n".encode(), 2) + frame(b"\xff" + b"x" * 9000)
    words = asked(output(said), lambda engine: engine.last_words(CONTAINER, 3))
    assert words[:2] == ("two", "grüße \x1b[31m")
    assert (words[2][:3], len(words[2])) == ("�xx", 500)
    assert asked(output(b""), lambda engine: engine.last_words(CONTAINER, 3)) == ()
    half = asked(
        output(frame(b"one\n") + frame(b"cut off")[:-3]), lambda engine: engine.last_words(CONTAINER, 3)
    )
    assert half == ("one", "cut ")
    typed = asked(output(b"$ one\r\n", terminal=True), lambda engine: engine.last_words(CONTAINER, 3))
    assert typed == ("$ one",)
    with pytest.raises(EngineError, match="broken answer: output without frames"):
        asked(output(b"this is no frame"), lambda engine: engine.last_words(CONTAINER, 3))


def test_logs_come_in_pieces_as_they_are_written() -> None:
    whole = frame(b"one\n") + frame(b"") + frame(b"two\n", 2)

    def answer(path: str) -> bytes:
        if path.endswith("/json"):
            return as_json({"Config": {"Tty": False}})
        assert parse_qs(urlsplit(path).query) == {
            "stdout": ["1"],
            "stderr": ["1"],
            "tail": ["7"],
            "follow": ["1"],
        }
        return chunked(*[whole[at : at + 3] for at in range(0, len(whole), 3)])

    def read(engine: DockerEngine) -> bytes:
        return b"".join(engine.logs(CONTAINER, lines=7, follow=True))

    assert asked(answer, read) == b"one\ntwo\n"


def test_the_clock_of_a_host_is_read_to_the_microsecond() -> None:
    told = asked(
        lambda _: as_json({"SystemTime": "2026-06-01T07:00:00.123456789+02:00"}),
        lambda engine: engine.clock(),
    )
    assert told == datetime(2026, 6, 1, 5, 0, 0, 123456, tzinfo=UTC)


def test_events_say_what_died_and_how() -> None:
    said = [
        {"Action": "die", "Actor": {"ID": "a", "Attributes": {"exitCode": "137"}}},
        {"Action": "oom", "Actor": {"ID": "b", "Attributes": {}}},
        {"Action": "exec_die", "Actor": {"ID": "b", "Attributes": {"exitCode": "0"}}},
        {"Action": "health_status: healthy", "id": "c"},
    ]
    text = "".join(json.dumps(one) + "\n" for one in said).encode()
    paths: list[str] = []

    def answer(path: str) -> bytes:
        paths.append(path)
        return chunked(text[:10], text[10:90], text[90:], end=True)

    with stub(answer) as server:
        engine = DockerEngine(server.endpoint)
        with Listening(engine.events(FLEET)) as told:
            assert [told.next(2) for _ in range(3)] == [
                ContainerEvent("die", "a", 137),
                ContainerEvent("oom", "b"),
                ContainerEvent("health_status: healthy", "c"),
            ]
            assert str(told.end(2)) == "the event stream ended"
        engine.close()
    filters = json.loads(parse_qs(urlsplit(paths[-1]).query)["filters"][0])
    assert filters["label"] == [f"rota.fleet={FLEET}"]
    assert {"die", "oom", "kill", "destroy", "health_status"} <= set(filters["event"])


@pytest.fixture
def docker(hosts: Lab) -> Iterator[DockerSubject]:
    subject = DockerSubject(hosts)
    yield subject
    subject.engine.close()


@pytest.mark.lab
def test_what_a_container_wrote_is_read_and_followed(docker: DockerSubject) -> None:
    container_id = run(docker, action("one"))
    wait_for(lambda: docker.engine.last_words(container_id, 5), 5, "its first words")
    assert docker.engine.last_words(container_id, 5) == ("work: working",)
    assert docker.engine.last_words(container_id, 0) == ()
    assert b"".join(docker.engine.logs(container_id, lines=5, follow=False)) == b"work: working\n"
    followed = docker.engine.logs(container_id, lines=5, follow=True)
    pieces = iter(followed)
    assert next(pieces) == b"work: working\n"
    docker.engine.set_restarts(container_id, restarts=False)
    docker.engine.signal(container_id, "SIGKILL")
    assert b"".join(pieces) == b"", "its log ends with it"
    with pytest.raises(EngineError, match=r"(?i)no such container"):
        docker.engine.last_words("0" * 64, 5)


@pytest.mark.lab
def test_a_command_runs_in_a_container(docker: DockerSubject) -> None:
    container_id = run(docker, action("one"))
    done = docker.engine.run(container_id, ("sh", "-c", "echo out; echo err >&2; exit 7"))
    assert sorted(b"".join(done).split()) == [b"err", b"out"]
    assert done.exit_code() == 7
    endless = docker.engine.run(container_id, ("sh", "-c", "echo begun; cat /dev/zero"))
    assert next(iter(endless)).startswith(b"begun")
    endless.close()
    with pytest.raises(EngineError, match=r"(?i)no such container"):
        docker.engine.run("0" * 64, ("true",))


@pytest.mark.lab
def test_images_of_no_registry_are_known_by_their_id(docker: DockerSubject) -> None:
    known = docker.engine.image_reference(WEB)
    assert known is not None
    assert known.startswith("sha256:")
    assert docker.engine.image_reference(known) == known
    started = action("one", image=docker.engine.image_reference(WORKER) or "")
    docker.engine.start(docker.engine.create(started))
    with pytest.raises(EngineError, match="digest of registry") as failed:
        docker.engine.registry_reference(WEB)
    assert failed.value.trouble is Trouble.REJECTED


@pytest.mark.lab
def test_the_clock_of_a_host_of_the_lab_is_ours(docker: DockerSubject) -> None:
    assert abs(docker.engine.clock() - SystemClock().now().wall) < timedelta(seconds=2)


@pytest.mark.lab
def test_a_death_is_told_with_its_exit_code(docker: DockerSubject) -> None:
    with Listening(docker.engine.events(FLEET)) as told:
        container_id = run(docker, action("one", restarts=False))
        docker.engine.signal(container_id, "SIGKILL")
        assert told.until("kill", 5).container_id == container_id
        assert told.until("die", 5) == ContainerEvent("die", container_id, 137)
    (one,) = docker.engine.containers(FLEET)
    assert abs(datetime.fromtimestamp(one.created, UTC) - SystemClock().now().wall) < timedelta(seconds=60)
