"""The daemon's API, as verbs ask it: one place for its address, its token, and what its answers mean."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rota.cli.main import NO
from rota.cli.token import VARIABLE, api_token
from rota.errors import Fatal, Retryable, RotaError, Stalled

if TYPE_CHECKING:
    from requests import Response

F = TypeVar("F", bound=Callable[..., Any])
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
ROOT = "/api/v1"


def server_option(command: F) -> F:
    """Give a verb `--server`."""
    return click.option(
        "--server",
        envvar="ROTA_SERVER",
        metavar="URL",
        help="Where the daemon listens: http://127.0.0.1:8080. The token comes from ROTA_API_TOKEN[_FILE].",
    )(command)


class Server:
    """The daemon at `url`. Redirects are not followed, and no proxy is asked: the token goes nowhere else."""

    def __init__(self, url: str) -> None:
        """Raises Fatal for what is no address."""
        if not url.startswith(("http://", "https://")):
            raise Fatal(f"--server {url!r}: give an http or https URL, as http://127.0.0.1:8080.")
        from requests import Session  # noqa: PLC0415 - slow; most verbs need no server

        self.url = url.rstrip("/")
        self._session = Session()
        self._session.trust_env = False
        self._session.verify = os.environ.get("SSL_CERT_FILE") or True
        token = api_token()
        if token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def ask(self, path: str, **parameters: str) -> dict[str, Any]:
        """The document at `path`."""
        with self._answer("GET", path, parameters) as answer:
            try:
                document = answer.json()
            except ValueError as error:
                raise Stalled("NotRota", f"{self.url} does not answer as a Rota daemon does.") from error
        if not isinstance(document, dict):
            raise Stalled("NotRota", f"{self.url} does not answer as a Rota daemon does.")
        return document

    @contextmanager
    def pieces(
        self, method: str, path: str, parameters: Mapping[str, str], body: Mapping[str, Any] | None = None
    ) -> Iterator[Iterator[bytes]]:
        """What the server sends at `path`, as it comes, however long it takes."""
        with self._answer(method, path, parameters, body, stream=True) as answer:
            yield self._each(answer)

    def _each(self, answer: Response) -> Iterator[bytes]:
        from requests import RequestException  # noqa: PLC0415

        try:
            yield from answer.iter_content(None)
        except RequestException as error:
            raise Retryable(f"{self.url} ended the answer in the middle of it. Ask again.") from error

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        *,
        stream: bool = False,
    ) -> Iterator[Response]:
        from requests import RequestException  # noqa: PLC0415

        try:
            answer = self._session.request(
                method,
                f"{self.url}{ROOT}{path}",
                params=dict(parameters),
                json=body,
                stream=True,
                timeout=(CONNECT_SECONDS, None if stream else ANSWER_SECONDS),
                allow_redirects=False,
            )
        except RequestException as error:
            raise Retryable(
                f"the daemon at {self.url} does not answer. Is it there, and was it started with --listen?"
            ) from error
        with answer:
            if answer.status_code != 200:
                raise self._refusal(answer)
            yield answer

    def _refusal(self, answer: Response) -> RotaError | click.exceptions.Exit:
        try:
            said = str(answer.json()["error"])
        except (ValueError, KeyError, TypeError):
            said = f"it answers {answer.status_code}, as no Rota daemon of this version does"
        if answer.status_code == 404:
            click.echo(f"rota: {said}", err=True)
            return click.exceptions.Exit(NO)
        if answer.status_code == 401:
            said += f". This command takes it from {VARIABLE} or {VARIABLE}_FILE."
        if answer.status_code == 503:
            return Retryable(f"{self.url}: {said}")
        return Stalled("Refused", f"{self.url}: {said}")


def server_at(url: str | None) -> Server:
    """The server that is named, or where the daemon's own setting says that it listens on this machine."""
    listen = os.environ.get("ROTA_LISTEN", "")
    if url is None and listen.rpartition(":")[2].isdecimal():
        url = f"http://{listen if ':' in listen else f'127.0.0.1:{listen}'}"
    if url is None:
        raise Fatal(
            "this is asked of the daemon: name it with --server URL or ROTA_SERVER, as "
            "http://127.0.0.1:8080. It listens where its --listen says."
        )
    return Server(url)
