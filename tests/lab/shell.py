"""Run one command of the machine, with a deadline, and say plainly what went wrong."""

import os
import subprocess
from collections.abc import Mapping

# Where the programs of a lab are, also for a root whose PATH lacks the sbin directories.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class LabError(Exception):
    """The lab could not do what was asked; the text says what, where, why and what to do."""


def run(*command: str, seconds: float = 20.0, environment: Mapping[str, str] | None = None) -> str:
    """Run `command`, give back what it printed; `seconds` is how long it may take.

    `environment` is added to the environment of this Python.
    """
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
    whole = {**os.environ, "PATH": path, **(environment or {})}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, env=whole, check=False
        )
    except FileNotFoundError as error:
        raise LabError(
            f"cannot run {command[0]!r}: no such program; `python -m tests.lab up` installs what is missing"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise LabError(
            f"`{' '.join(command)}` took longer than {seconds:g} s; see what it waits for, then try again"
        ) from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip() or "nothing"
        raise LabError(f"`{' '.join(command)}` ended with code {done.returncode} and said: {said}")
    return done.stdout


def works(*command: str, seconds: float = 20.0) -> bool:
    """Run `command` where a refusal is an expected answer: true when it ended with code 0."""
    try:
        run(*command, seconds=seconds)
    except LabError:
        return False
    return True
