"""What goes wrong with a Docker Engine, as what it means for the one who asked."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException

import docker.errors
import requests
from urllib3.exceptions import HTTPError

from rota.engine.port import EngineError, Trouble

NOT_RUNNING = "connection refused: is the Engine running?"
NO_CONNECTION = "no connection to the Engine"
NOT_IN_TIME = "no connection within the deadline"
CLOSED = "the connection was closed"
_TLS_REFUSAL = re.compile("certificate|WRONG_VERSION_NUMBER", re.IGNORECASE)


def no_answer(seconds: float) -> str:
    return f"no answer within {seconds:g}s"


def refusal(status: int, said: str) -> EngineError:
    """An answer that is an error, by its status and sentence."""
    said = said.strip() or f"status {status}"
    if status == 404:
        missing_image = "image" in said.lower()
        return EngineError(Trouble.NO_IMAGE if missing_image else Trouble.NOT_FOUND, said)
    if status == 409 and "name" in said and "in use" in said:
        return EngineError(Trouble.NAME_TAKEN, said)
    if status == 400 and "API version" in said:
        return EngineError(Trouble.UNUSABLE, said)
    if status == 400 and "HTTPS server" in said:
        return EngineError(Trouble.UNUSABLE, "it wants TLS, and its manifest names no certificate")
    return EngineError(Trouble.REJECTED, said)


@contextmanager
def meaning(silence: Trouble) -> Iterator[None]:
    """An answer that is read here and is not what it should be is an `EngineError` of `silence`."""
    try:
        yield
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise EngineError(silence, f"broken answer: {type(error).__name__}") from error


@contextmanager
def from_sdk(silence: Trouble, seconds: float) -> Iterator[None]:
    """Every way in which the SDK fails, as what it means; `silence` is what a broken connection means."""
    try:
        with meaning(silence):
            yield
    except docker.errors.APIError as error:
        status = error.response.status_code if error.response is not None else 500
        raise refusal(status, str(error.explanation or error)) from error
    except (requests.exceptions.ConnectTimeout, requests.exceptions.InvalidURL) as error:
        raise EngineError(Trouble.SILENT, NOT_IN_TIME) from error
    except requests.exceptions.Timeout as error:
        raise EngineError(silence, no_answer(seconds)) from error
    except (requests.exceptions.JSONDecodeError, docker.errors.StreamParseError) as error:
        raise EngineError(silence, "broken answer: not JSON") from error
    except (requests.exceptions.RequestException, docker.errors.DockerException, HTTPError, OSError) as error:
        raise _from_connection(error, silence, seconds) from error
    except HTTPException as error:
        raise EngineError(silence, f"broken answer: {type(error).__name__}") from error


def from_tls(error: ssl.SSLError) -> EngineError:
    return EngineError(Trouble.UNUSABLE, f"TLS: {_innermost(error)}")


def _from_connection(error: Exception, silence: Trouble, seconds: float) -> EngineError:
    text = str(error)
    if "timed out" in text:
        return EngineError(silence, no_answer(seconds))
    if "refused" in text or "No such file" in text or "FileNotFoundError" in text:
        return EngineError(Trouble.REFUSED, NOT_RUNNING)
    if _TLS_REFUSAL.search(text):
        return EngineError(Trouble.UNUSABLE, f"TLS: {_innermost(error)}")
    if "Failed to establish" in text or "No route" in text or "unreachable" in text or "resolve" in text:
        return EngineError(Trouble.SILENT, NO_CONNECTION)
    return EngineError(silence, "the connection broke")


def _innermost(error: BaseException) -> str:
    """The sentence of the first cause."""
    while error.__context__ is not None:
        error = error.__context__
    return str(getattr(error, "verify_message", "") or error)
