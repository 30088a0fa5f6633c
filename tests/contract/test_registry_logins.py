"""Logins of private registries: which is used where, and that nobody ever reads them."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rota.engine.docker import DockerEngine
from rota.engine.port import EngineError, Trouble
from rota.engine.registry_logins import HEADER, RegistryLogins
from rota.errors import Fatal
from tests.contract.stub_server import as_json, chunked, stub

CANARY = "canary-7f3a"
PRIVATE = "registry.example:5000/shop/web:1"
DIGEST = "sha256:" + "2" * 64


def basic(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a configuration, in the form of a Docker client's, anew."""

    def to_file(**content: Any) -> Path:
        file = tmp_path / "config.json"
        fresh = tmp_path / "fresh"
        fresh.write_text(json.dumps(content))
        fresh.replace(file)
        return file

    return to_file


Write = Callable[..., Path]


def sent(server_headers: dict[str, str]) -> dict[str, Any]:
    """The login in a request."""
    text = server_headers.get(HEADER.lower(), "")
    return dict(json.loads(base64.urlsafe_b64decode(text))) if text else {}


@pytest.mark.parametrize(
    ("stated", "image", "expected"),
    [
        ("registry.example:5000", PRIVATE, True),
        ("https://registry.example:5000/v2/", PRIVATE, True),
        ("registry.example", PRIVATE, False),
        ("registry.example:5000", "shop/web:1", False),
        ("https://index.docker.io/v1/", "shop/web:1", True),
        ("https://index.docker.io/v1/", f"nginx@{DIGEST}", True),
        ("https://index.docker.io/v1/", PRIVATE, False),
        ("localhost:5000", "localhost:5000/web", True),
    ],
)
def test_a_login_is_for_its_own_registry(stated: str, image: str, expected: bool, write: Write) -> None:
    logins = RegistryLogins(write(auths={stated: basic("rota", CANARY)}))
    login = logins.of(image)
    assert bool(login) is expected
    if expected:
        assert (login["username"], login["password"]) == ("rota", CANARY)


def test_an_identity_token_is_a_login(write: Write) -> None:
    logins = RegistryLogins(write(auths={"registry.example:5000": {"auth": "", "identitytoken": CANARY}}))
    assert logins.of(PRIVATE) == {"IdentityToken": CANARY}


def test_without_a_file_rota_is_nobody() -> None:
    assert RegistryLogins().of(PRIVATE) == {}
    assert RegistryLogins().header_of(PRIVATE) == {}
    assert RegistryLogins().explain(PRIVATE, "denied") == "denied"


def test_pulls_and_digests_are_asked_for_with_the_login(write: Write) -> None:
    logins = RegistryLogins(write(auths={"registry.example:5000": basic("rota", CANARY)}))

    def answer(path: str) -> bytes:
        return as_json({"Descriptor": {"digest": DIGEST}}) if "distribution" in path else chunked(b"{}\n")

    with stub(answer) as server:
        engine = DockerEngine(server.endpoint, logins=logins)
        assert engine.registry_reference(PRIVATE) == f"registry.example:5000/shop/web@{DIGEST}"
        assert sent(server.headers)["password"] == CANARY
        engine.pull(PRIVATE)
        assert sent(server.headers)["password"] == CANARY
        assert server.headers[HEADER.lower()] == logins.header_of(PRIVATE)[HEADER]
        engine.pull("shop/web:1")
        assert sent(server.headers) == {}, "no other registry is told"
        engine.registry_reference("shop/web:1")
        assert sent(server.headers) == {}
        engine.close()


def test_the_file_is_read_again_when_it_changed(write: Write) -> None:
    file = write(auths={})
    logins = RegistryLogins(file)
    assert logins.of(PRIVATE) == {}
    write(auths={"registry.example:5000": basic("rota", CANARY)})
    assert logins.of(PRIVATE)["password"] == CANARY
    file.write_text("{")
    with pytest.raises(EngineError, match="is not JSON") as broken:
        logins.of(PRIVATE)
    assert broken.value.trouble is Trouble.REJECTED
    file.unlink()
    with pytest.raises(EngineError, match="cannot be read any more: No such file"):
        logins.of(PRIVATE)
    write(auths={})
    assert logins.of(PRIVATE) == {}


UNUSABLE = {
    "not JSON": "{'auths': '" + CANARY + "'}",
    "not text": "\udcff",
    "a list": json.dumps([CANARY]),
    "a login that is a text": json.dumps({"auths": {"registry.example": CANARY}}),
    "a login that is not base64": json.dumps({"auths": {"registry.example": {"auth": CANARY + "="}}}),
    "a login without a colon": json.dumps({"auths": {"registry.example": {"auth": "Y2FuYXJ5"}}}),
    "a login that is a number": json.dumps({"auths": {"registry.example": {"auth": 7}}}),
    "logins that are a list": json.dumps({"auths": [CANARY]}),
    "helpers that are a text": json.dumps({"credHelpers": CANARY}),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_file_that_cannot_be_used_says_so_at_once(case: str, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(UNUSABLE[case].encode("utf-8", "surrogateescape"))
    with pytest.raises(Fatal, match="--registry-config") as unusable:
        RegistryLogins(file)
    assert CANARY not in str(unusable.value)
    assert unusable.value.__cause__ is None
    assert "docker login" in str(unusable.value)


def test_a_file_that_is_not_there_is_fatal(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=r"config.json cannot be read: No such file"):
        RegistryLogins(tmp_path / "config.json")
    with pytest.raises(Fatal, match="cannot be read"):
        RegistryLogins(tmp_path)


def test_nothing_that_is_said_repeats_a_secret(write: Write) -> None:
    """Not even where a registry repeats what it was sent."""
    logins = RegistryLogins(write(auths={"registry.example:5000": basic("rota", CANARY)}))
    encoded = logins.header_of(PRIVATE)[HEADER]
    plain = basic("rota", CANARY)["auth"]
    denied = as_json({"message": f"no {CANARY} here, {plain}, {encoded}"}, "500 Internal Server Error")
    with stub(lambda _: denied) as server:
        engine = DockerEngine(server.endpoint, logins=logins)
        for call in (engine.pull, engine.registry_reference):
            with pytest.raises(EngineError) as failed:
                call(PRIVATE)
            for secret in (CANARY, plain, encoded):
                assert secret not in str(failed.value)
        engine.close()
    assert CANARY not in repr(logins) + repr(vars(logins)) + repr(logins.of(PRIVATE))


def test_a_credential_helper_is_named_and_not_run(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    logins = RegistryLogins(write(auths={"registry.example:5000": {}}, credsStore="desktop"))
    assert logins.of(PRIVATE) == {}
    told = logins.explain(PRIVATE, "pull access denied")
    assert told.startswith("pull access denied. ")
    assert "leaves the login of registry.example:5000 to the credential helper 'desktop'" in told
    assert told.endswith("which Rota does not run: write the login itself into its auths")
    mixed = RegistryLogins(
        write(
            auths={"registry.example:5000": basic("rota", CANARY)},
            credHelpers={"registry.example:5000": "pass", "other.example": "ecr-login"},
        )
    )
    assert mixed.of(PRIVATE)["password"] == CANARY
    assert mixed.explain(PRIVATE, "denied") == "denied"
    assert "'ecr-login'" in mixed.explain("other.example/web", "denied")
