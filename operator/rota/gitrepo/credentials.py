"""How Rota proves itself to a git server; secrets go by environment, never by argument."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

# Forges take a token as the password of any user name; an empty one is refused by some.
_ANY_USERNAME = "git"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the settings hold for one repository; all of it optional, and unused where it does not apply.

    `ca_file` holds further certificate authorities (PEM) for https. Without `known_hosts_file` the first
    key that an ssh host shows is trusted from then on. The password never shows in `repr`.
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ssh_key_file: Path | None = None
    known_hosts_file: Path | None = None
    ca_file: Path | None = None

    def settings(self, url: str) -> Mapping[str, str]:
        """Git configuration for `url`: the http header, bound to that server so that no other gets it."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            return {}
        found = {}
        if self.password is not None:
            header = f"Authorization: Basic {self._basic(self.password)}"
            found[f"http.{parts.scheme}://{parts.netloc}/.extraHeader"] = header
        if self.ca_file is not None:
            found["http.sslCAInfo"] = str(self.ca_file)
        return found

    def ssh_command(self) -> str:
        """The value of GIT_SSH_COMMAND: no questions, no user configuration, a known host key."""
        options = ["BatchMode=yes", "ConnectTimeout=10"]
        if self.ssh_key_file is not None:
            options.append("IdentitiesOnly=yes")
        if self.known_hosts_file is not None:
            # ssh splits the value at spaces unless it is quoted for ssh itself, inside the shell's quotes.
            options += ["StrictHostKeyChecking=yes", f'UserKnownHostsFile="{self.known_hosts_file}"']
        else:
            options.append("StrictHostKeyChecking=accept-new")
        words = ["ssh", "-F", "/dev/null"]
        for option in options:
            words += ["-o", option]
        if self.ssh_key_file is not None:
            words += ["-i", str(self.ssh_key_file)]
        return shlex.join(words)

    def redact(self, text: str) -> str:
        """`text` without the password, plain or as sent, should a server or git ever repeat it."""
        if not self.password:
            return text
        return text.replace(self._basic(self.password), "***").replace(self.password, "***")

    def _basic(self, password: str) -> str:
        return base64.b64encode(f"{self.username or _ANY_USERNAME}:{password}".encode()).decode()
