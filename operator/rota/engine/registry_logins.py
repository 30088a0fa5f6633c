"""Logins of private registries, from a file as `docker login` writes it. No message tells its content."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docker.auth import AuthConfig, encode_header, resolve_repository_name
from docker.errors import DockerException
from docker.utils import parse_repository_tag

from rota.engine.port import EngineError, Trouble
from rota.errors import Fatal

HEADER = "X-Registry-Auth"
MOST_BYTES = 1 << 20
_FORM = 'write {"auths": {"REGISTRY": {"auth": "USER:PASSWORD in base64"}}}, as `docker login` does'


class Login(dict[str, str]):
    """A login as it is sent. Its text says nothing, so that no trace of an error tells it."""

    def __repr__(self) -> str:
        return "Login(***)"


@dataclass(frozen=True, slots=True)
class _Read:
    """The file as it was when it had `version`."""

    version: tuple[int, ...]
    auths: AuthConfig = field(repr=False)
    helpers: Mapping[str, str]
    every_helper: str


class RegistryLogins:
    """Who Rota is at each registry. The file is read again when it changed; without one Rota is nobody."""

    def __init__(self, file: Path | None = None) -> None:
        """`Fatal` where the file is of no use."""
        self._file = file
        self._read = _read(file) if file is not None else None

    def of(self, image: str) -> Login:
        """The login for the registry of `image`, in the SDK's terms; empty where there is none.

        `EngineError` where the file has become unusable: nothing is pulled as somebody else meanwhile.
        """
        read = self._latest()
        registry = _registry(image)
        login = read.auths.resolve_authconfig(registry) if read is not None and registry else None
        return Login((key, value) for key, value in (login or {}).items() if value is not None)

    def header_of(self, image: str) -> Login:
        """The same as headers of a request."""
        login = self.of(image)
        return Login({HEADER: encode_header(login).decode("ascii")} if login else {})

    def explain(self, image: str, said: str) -> str:
        """What a registry said, without what it may have repeated of the login, and what may be missing."""
        read = self._read
        registry = _registry(image)
        if read is None or not registry:
            return said
        login = read.auths.resolve_authconfig(registry) or {}
        for secret in _secrets_of(login):
            said = said.replace(secret, "***")
        helper = read.helpers.get(registry) or read.every_helper
        if not login and helper:
            said += (
                f". {self._file} leaves the login of {registry} to the credential helper {helper!r}, which "
                "Rota does not run: write the login itself into its auths"
            )
        return said

    def _latest(self) -> _Read | None:
        if self._file is None:
            return None
        try:
            if self._read is None or _version(self._file) != self._read.version:
                self._read = _read(self._file)
        except OSError as error:
            message = f"--registry-config {self._file} cannot be read any more: {error.strerror}"
            raise EngineError(Trouble.REJECTED, message) from error
        except Fatal as error:
            raise EngineError(Trouble.REJECTED, str(error)) from error
        return self._read


def _secrets_of(login: Mapping[str, str | None]) -> list[str]:
    """Every form in which a login is written."""
    secrets = [secret for key in ("password", "IdentityToken") if (secret := login.get(key))]
    basic = f"{login.get('username')}:{login.get('password')}".encode()
    sent = {key: one for key, one in login.items() if one is not None}
    encoded = (
        [encode_header(sent).decode("ascii"), base64.b64encode(basic).decode("ascii")] if secrets else []
    )
    return [*encoded, *secrets]


def _version(file: Path) -> tuple[int, ...]:
    status = os.stat(file)
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(file: Path) -> _Read:
    try:
        version = _version(file)
        with file.open("rb") as opened:
            stated = json.loads(opened.read(MOST_BYTES))
    except OSError as error:
        message = f"--registry-config {file} cannot be read: {error.strerror}. Name a file that"
        raise Fatal(f"{message} `docker login` wrote.") from error
    except ValueError:  # not its cause: that one holds the whole text
        raise Fatal(f"--registry-config {file} is not JSON: {_FORM}.") from None
    auths = stated.get("auths", {}) if isinstance(stated, dict) else None
    helpers = stated.get("credHelpers", {}) if isinstance(stated, dict) else None
    if not isinstance(auths, dict) or not isinstance(helpers, dict):
        raise Fatal(f"--registry-config {file} is not the configuration of a Docker client: {_FORM}.")
    logins: dict[str, Any] = {}
    for registry, entry in auths.items():
        try:
            logins.update(AuthConfig.parse_auth({registry: entry}, raise_on_error=True))
        except (DockerException, ValueError, TypeError, AttributeError):
            message = f"--registry-config {file}: the login of {registry} cannot be read: {_FORM}."
            raise Fatal(message) from None
    every_helper = str(stated.get("credsStore") or "")
    return _Read(version, AuthConfig({"auths": logins}), helpers, every_helper)


def _registry(image: str) -> str:
    """The registry that an image name means; empty where it names none."""
    try:
        return str(resolve_repository_name(parse_repository_tag(image)[0])[0])
    except (DockerException, ValueError, IndexError):
        return ""
