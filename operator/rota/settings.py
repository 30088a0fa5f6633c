"""The daemon's own settings: small frozen values, read once. The command line fills them in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class GitSettings:
    """Where manifests come from and the status goes to. Seconds between polls, and between status commits."""

    repo: str
    branch: str = "main"
    status_branch: str = "rota/status"
    path: str = ""
    interval: float = 30.0
    status_interval: float = 30.0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ssh_key: Path | None = None
    known_hosts: Path | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Where the webhook listens; without a secret it is not served. `port` 0: any free one."""

    address: str = "127.0.0.1"
    port: int | None = None
    github_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSettings:
    """One daemon. `data` holds the mirror and the operator's id; `tls` a folder per certificate name;
    `registry_config` the logins of private registries."""

    git: GitSettings
    data: Path
    web: WebSettings = WebSettings()
    tls: Path | None = None
    registry_config: Path | None = None
    pause_file: Path | None = None
    dry_run: bool = False
    take_over: bool = False
    operator_id: str | None = None
