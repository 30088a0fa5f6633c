"""The ssh transport, with a stand-in for the ssh program: no server is to be had on every machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rota.errors import Retryable
from rota.gitrepo import Credentials, Source
from tests.gitrepo.origin import Origin

# Notes its arguments and does what sshd would: run the last one.
_STAND_IN = """#!/bin/sh
printf '%s\\n' "$@" > "{noted}"
for last; do :; done
{then}
"""


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    def install(then: str) -> Path:
        noted = tmp_path / "noted"
        program = tmp_path / "bin" / "ssh"
        program.parent.mkdir()
        program.write_text(_STAND_IN.format(noted=noted, then=then))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        return noted

    return install


def test_ssh_is_called_with_the_key_and_asks_nothing(
    origin: Origin,
    source_of: Callable[..., Source],
    ssh: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noted = ssh('exec sh -c "$last"')
    monkeypatch.setenv("GIT_SSH_COMMAND", "/bin/false")
    monkeypatch.setenv("GIT_SSH", "/bin/false")
    credentials = Credentials(ssh_key_file=Path("/keys/my id"), known_hosts_file=Path("/keys/known"))
    source = source_of(f"ssh://git@git.example.org:2222{origin.path}", credentials=credentials)
    head = origin.commit({"a.yaml": "a"})
    assert source.poll().head == head
    assert source.checkout(head).entries[0].path == "a.yaml"
    words = noted.read_text().splitlines()
    assert {"BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "git@git.example.org"} <= set(
        words
    )
    assert words[words.index("-i") + 1] == "/keys/my id"
    assert words[words.index("-p") + 1] == "2222"


@pytest.mark.parametrize(
    ("says", "mend"),
    [
        ("git@git.example.org: Permission denied (publickey).", "git-ssh-key"),
        ("Host key verification failed.", "git-known-hosts"),
        ("ssh: Could not resolve hostname git.example.org: Name or service not known", "name server"),
        ("ssh: connect to host git.example.org port 22: Connection timed out", "may pass"),
    ],
)
def test_what_ssh_says_is_passed_on_with_a_mend(
    source_of: Callable[..., Source], ssh: Callable[[str], Path], says: str, mend: str
) -> None:
    ssh(f"echo '{says}' >&2; exit 255")
    with pytest.raises(Retryable) as failed:
        source_of("ssh://git@git.example.org/fleet.git").poll()
    assert says.rstrip(".") in str(failed.value)
    assert mend in str(failed.value)
