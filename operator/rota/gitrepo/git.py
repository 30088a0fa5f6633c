"""The one module that runs git: fixed arguments, no shell, a closed environment, a deadline each.

GitPython is used as a launcher only, and of its launcher only the start. `Git.execute` by itself cannot feed
bytes to standard input, and its `kill_after_timeout` starts a thread per command that looks for children with
`pgrep` or `ps`: in an image without them a left-over ssh or git-remote-https keeps the pipes open, and the
call outlives its deadline. So the child is started in a session of its own (`as_process`), fed and read by
`communicate(timeout)`, and at the deadline the whole session is ended: SIGTERM first, upon which git removes
its locks, then SIGKILL.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from subprocess import PIPE, TimeoutExpired
from typing import TYPE_CHECKING, Protocol

from rota.errors import Fatal

if TYPE_CHECKING:
    from git.cmd import Git as Launcher

_OLDEST = (2, 32)  # GIT_CONFIG_GLOBAL and GIT_CONFIG_COUNT: older ones would ignore the hardening in silence
_GRACE = 2.0  # seconds between SIGTERM and SIGKILL, and again until the pipes are given up

_CONFIGURATION = {
    "core.hooksPath": "/dev/null",
    "core.attributesFile": "/dev/null",
    "core.fsmonitor": "false",
    "core.fsync": "none",  # the mirror is a cache: faster to rebuild once in a blue moon than to sync always
    "credential.helper": "",
    "fetch.fsckObjects": "true",
    "fetch.recurseSubmodules": "no",
    "push.recurseSubmodules": "no",
    "push.gpgSign": "false",
    "submodule.recurse": "false",
    "gc.autoDetach": "false",
    "http.followRedirects": "false",  # a redirect would carry the password to a host nobody named
    "http.lowSpeedLimit": "1",  # bytes per second: silence for lowSpeedTime; a slow drip ends at the deadline
    "http.lowSpeedTime": "30",
}

_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",  # set and empty: no askpass program at all, SSH_ASKPASS included
    "GIT_ALLOW_PROTOCOL": "https:ssh:http:file",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "HOME": "/dev/null",  # no ~/.netrc, no ~/.gitconfig
    "XDG_CONFIG_HOME": "/dev/null",
    "LC_ALL": "C",
    "LANGUAGE": "C",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds after which a command is ended: one question to the server, a transfer each way, local work."""

    poll: float = 15.0
    fetch: float = 300.0
    push: float = 60.0
    local: float = 60.0


class GitError(Exception):
    """Git did not do what was asked. What that means is decided where the command's purpose is known."""

    def __init__(self, why: str, stdout: bytes = b"", stderr: str = "") -> None:
        super().__init__(f"{why}: {stderr.strip()}" if stderr else why)
        self.why = why
        self.stdout = stdout
        self.stderr = stderr


class GitFailed(GitError):
    """Git came to an end by itself, with a `status` other than 0."""

    def __init__(self, status: int, stdout: bytes, stderr: str) -> None:
        super().__init__(f"git ended with status {status}", stdout, stderr)
        self.status = status


class GitInterrupted(GitError):
    """Git was ended from outside, at its deadline or by a signal, or never began: nothing is known by it."""


class Git:
    """Runs git on one repository directory, or on none for questions to a server.

    `settings` are git configuration and `environment` variables beyond the hardened ones; both may hold
    secrets, as neither shows in an argument list. `redact` takes secrets out of what git or a server says.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._redact = redact
        # The directory is always stated: nothing is discovered from wherever the caller stands.
        self._environment = {
            **_ENVIRONMENT,
            "GIT_DIR": str(directory or "/dev/null"),
            **_configuration({**_CONFIGURATION, **(settings or {})}),
            **(environment or {}),
        }

    def run(self, *arguments: str, deadline: float, stdin: bytes | None = None) -> bytes:
        """Standard output of `git ARGUMENTS`, fed with `stdin`; ended after `deadline` seconds.

        Raises GitFailed, GitInterrupted, and Fatal when there is no usable git on this machine.
        """
        child = self._start(arguments, stdin is not None)
        try:
            stdout, stderr = child.communicate(stdin, timeout=deadline)
        except TimeoutExpired as expired:
            stdout, stderr = _end(child)
            raise GitInterrupted(f"no answer within {deadline:g} s", stdout, self._text(stderr)) from expired
        except BaseException:
            _end(child)
            raise
        if child.returncode < 0:
            raise GitInterrupted(f"git was ended by signal {-child.returncode}", stdout, self._text(stderr))
        if child.returncode > 0:
            raise GitFailed(child.returncode, stdout, self._text(stderr))
        return stdout

    def _start(self, arguments: Sequence[str], fed: bool) -> _Child:
        try:
            child: _Child = _launcher().execute(
                [*_without_callers_git(self._environment), "git", *arguments],
                istream=PIPE if fed else None,
                as_process=True,
                env=self._environment,
                start_new_session=True,
            )
        except OSError as error:  # no memory or no process left
            raise GitInterrupted(f"git could not be started: {error.strerror}") from error
        return child

    def _text(self, stderr: bytes) -> str:
        return self._redact(stderr.decode("utf-8", "replace"))


class _Child(Protocol):
    """What is used of the process that GitPython starts."""

    pid: int
    returncode: int

    def communicate(self, stdin: bytes | None = None, *, timeout: float) -> tuple[bytes, bytes]: ...


def _end(child: _Child) -> tuple[bytes, bytes]:
    """End the child's whole session and collect what it had said."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
            return child.communicate(timeout=_GRACE)
        except (TimeoutExpired, ProcessLookupError):
            continue
    return b"", b""


def _configuration(settings: Mapping[str, str]) -> dict[str, str]:
    """`settings` in the form that git reads from its environment, which replaces a caller's own."""
    numbered = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        numbered[f"GIT_CONFIG_KEY_{number}"] = key
        numbered[f"GIT_CONFIG_VALUE_{number}"] = value
    return numbered


def _without_callers_git(own: Mapping[str, str]) -> list[str]:
    """A prefix that unsets the caller's GIT_* variables: GitPython only adds to what it inherits.

    Only names stand in it, and mostly it is empty.
    """
    foreign = [name for name in os.environ if name.startswith("GIT_") and name not in own]
    return ["env", *(word for name in foreign for word in ("-u", name))] if foreign else []


@cache
def _launcher() -> Launcher:
    """GitPython's launcher, imported on first use: the import costs 70 ms and runs git several times."""
    try:
        from git.cmd import Git as GitPython  # noqa: PLC0415
    except ImportError as error:
        raise Fatal("There is no git on this machine: install git 2.32 or newer.") from error
    launcher = GitPython("/")
    if launcher.version_info < _OLDEST:
        shown = ".".join(str(number) for number in launcher.version_info)
        raise Fatal(f"Rota needs git 2.32 or newer, this is {shown}: install a newer git.")
    return launcher
