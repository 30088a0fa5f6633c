from __future__ import annotations

import base64
import shlex
from pathlib import Path

from rota.gitrepo import Credentials


def test_the_password_is_bound_to_its_server() -> None:
    settings = Credentials(username="ada", password="pw").settings(
        "https://git.example.org:8443/team/fleet.git"
    )
    encoded = base64.b64encode(b"ada:pw").decode()
    assert settings == {"http.https://git.example.org:8443/.extraHeader": f"Authorization: Basic {encoded}"}


def test_nothing_is_sent_where_it_does_not_apply() -> None:
    credentials = Credentials(username="ada", password="pw", ca_file=Path("/ca.pem"))
    assert credentials.settings("ssh://git@git.example.org/fleet.git") == {}
    assert credentials.settings("/srv/fleet.git") == {}
    assert Credentials().settings("https://git.example.org/fleet.git") == {}


def test_repr_and_redaction_keep_the_password() -> None:
    credentials = Credentials(username="ada", password="hunter2")
    assert "hunter2" not in repr(credentials)
    header = next(iter(credentials.settings("https://h/x").values()))
    assert credentials.redact(f"a hunter2 b {header}") == "a *** b Authorization: Basic ***"
    assert Credentials().redact("as it is") == "as it is"


def test_ssh_asks_nothing_and_pins_the_host() -> None:
    credentials = Credentials(ssh_key_file=Path("/my keys/id"), known_hosts_file=Path("/my keys/known"))
    words = shlex.split(credentials.ssh_command())
    assert words[:3] == ["ssh", "-F", "/dev/null"]
    assert words[words.index("-i") + 1] == "/my keys/id"
    assert {"BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes"} <= set(words)
    assert 'UserKnownHostsFile="/my keys/known"' in words
    assert "StrictHostKeyChecking=accept-new" in Credentials().ssh_command()
