"""The daemon's settings on the command line, and how they are read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from rota.errors import Fatal
from rota.gitrepo.credentials import Credentials
from rota.settings import DaemonSettings, GitSettings, WebSettings

F = TypeVar("F", bound=Callable[..., Any])
_FILE = click.Path(dir_okay=False, path_type=Path)
_WORD = re.compile(r"[!-~]+")
LONGEST_INTERVAL = 86400
_FOLDER = click.Path(file_okay=False, path_type=Path)

SECRETS = ("git_password", "github_secret")
"""Never flags: `ROTA_X`, or `ROTA_X_FILE` with the path of a file that holds the value."""

OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("--repo",), {"required": True, "metavar": "URL", "help": "https, ssh, http or file URL, or a path."}),
    (
        ("--branch",),
        {"help": "The branch to follow.", "metavar": "BRANCH", "default": "main", "show_default": True},
    ),
    (
        ("--status-branch",),
        {
            "help": "The branch that this operator writes.",
            "metavar": "BRANCH",
            "default": "rota/status",
            "show_default": True,
        },
    ),
    (("--path",), {"default": "", "metavar": "FOLDER", "help": "Where in the repository manifests begin."}),
    (("--poll-interval",), {"default": 30.0, "show_default": True, "help": "Seconds between two polls."}),
    (
        ("--status-interval",),
        {"default": 30.0, "show_default": True, "help": "Seconds between two commits on the status branch."},
    ),
    (
        ("--data",),
        {"type": _FOLDER, "default": "/var/lib/rota", "show_default": True, "help": "The mirror and the id."},
    ),
    (("--git-username",), {"help": "For http(s). The password comes from ROTA_GIT_PASSWORD[_FILE]."}),
    (("--git-ssh-key",), {"type": _FILE, "help": "The private key for ssh."}),
    (("--git-known-hosts",), {"type": _FILE, "help": "The host keys that ssh accepts."}),
    (("--git-ca-file",), {"type": _FILE, "help": "The authorities that https trusts."}),
    (("--tls",), {"type": _FOLDER, "help": "A folder per certificate name: ca.pem, cert.pem, key.pem."}),
    (
        ("--registry-config",),
        {
            "type": _FILE,
            "help": "Logins of private registries: a config.json as `docker login` writes it. "
            "Credential helpers are not run.",
        },
    ),
    (
        ("--listen",),
        {
            "metavar": "[ADDRESS:]PORT",
            "help": "Serve /healthz, and the webhook where ROTA_GITHUB_SECRET[_FILE] is set. "
            "Without an address: 127.0.0.1.",
        },
    ),
    (("--pause-file",), {"type": _FILE, "help": "While this file exists, nothing is changed."}),
    (("--operator-id",), {"help": "The name on the status branch; by default made once, kept in --data."}),
    (("--take-over",), {"is_flag": True, "help": "Go on from a status branch that another operator wrote."}),
)


def daemon_options(command: F) -> F:
    """Give a verb the daemon's settings, and `--config`, the file that they may stand in."""
    command = click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        callback=config_file,
        is_eager=True,
        expose_value=False,
        help="A YAML file with these settings.",
    )(command)
    for names, fields in reversed(OPTIONS):
        command = click.option(*names, **fields)(command)
    return command


def config_file(context: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    """Take the defaults of all options from a YAML file whose keys are the flags without dashes."""
    if value is None:
        return
    stated = _read_config(value)
    known = {names[0].removeprefix("--"): fields for names, fields in OPTIONS}
    for key, entry in stated.items():
        if key not in known:
            raise Fatal(f"--config {value}: {_unknown_setting(key)} There are {', '.join(sorted(known))}.")
        _check_type(value, key, entry, is_flag="is_flag" in known[key])
    context.default_map = {key.replace("-", "_"): entry for key, entry in stated.items()}


def _read_config(file: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - only where there is a file

    try:
        stated = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        why = " ".join(str(error).split())
        raise Fatal(f"--config {file} cannot be read: {why}") from error
    if stated is None:
        return {}
    if not isinstance(stated, dict):
        raise Fatal(f"--config {file} is not a mapping. Write a setting per line: branch: main")
    return stated


def _unknown_setting(key: object) -> str:
    if isinstance(key, str) and key.replace("-", "_") in (*SECRETS, "api_token"):
        variable = f"ROTA_{key.replace('-', '_').upper()}"
        return f"{key} is a secret and has no place in a file of settings: use {variable} or {variable}_FILE."
    return f"{key} is not a setting."


def _check_type(file: Path, key: str, entry: object, *, is_flag: bool) -> None:
    """YAML reads `on` and `no` as true and false: what is no flag must not become the text `True`."""
    if is_flag and not isinstance(entry, bool):
        raise Fatal(f"--config {file}: {key} is {entry!r}; write true or false.")
    if not is_flag and (isinstance(entry, bool) or not isinstance(entry, str | int | float)):
        raise Fatal(f"--config {file}: {key} is {entry!r}; write a text or a number, quoted if in doubt.")


def read_settings(options: dict[str, Any]) -> DaemonSettings:
    """The settings from parsed options, secrets from the environment."""
    secrets = {name: _secret(name) for name in SECRETS}
    address, port = _listen(options["listen"])
    for flag in ("poll_interval", "status_interval"):
        if not 1 <= options[flag] <= LONGEST_INTERVAL:
            name = f"--{flag.replace('_', '-')}"
            raise Fatal(f"{name} {options[flag]:g}: give seconds, from 1 to {LONGEST_INTERVAL}.")
    operator_id = options["operator_id"]
    if operator_id is not None and not _WORD.fullmatch(operator_id):
        raise Fatal(f"--operator-id {operator_id!r}: give one word of letters, digits and signs.")
    return DaemonSettings(
        git=GitSettings(
            repo=options["repo"],
            branch=options["branch"],
            status_branch=options["status_branch"],
            path=options["path"],
            interval=options["poll_interval"],
            status_interval=options["status_interval"],
            username=options["git_username"],
            password=secrets["git_password"],
            ssh_key=options["git_ssh_key"],
            known_hosts=options["git_known_hosts"],
            ca_file=options["git_ca_file"],
        ),
        data=options["data"],
        web=WebSettings(address=address, port=port, github_secret=secrets["github_secret"]),
        tls=options["tls"],
        registry_config=options["registry_config"],
        pause_file=options["pause_file"],
        dry_run=options["dry_run"],
        take_over=options["take_over"],
        operator_id=operator_id,
    )


def credentials_from_environment() -> Credentials:
    """What a git server asks for, for the verbs that take no such flags."""
    paths = {
        name: Path(os.environ[variable]) if os.environ.get(variable := f"ROTA_{name.upper()}") else None
        for name in ("git_ssh_key", "git_known_hosts", "git_ca_file")
    }
    return Credentials(
        username=os.environ.get("ROTA_GIT_USERNAME"),
        password=_secret("git_password"),
        ssh_key_file=paths["git_ssh_key"],
        known_hosts_file=paths["git_known_hosts"],
        ca_file=paths["git_ca_file"],
    )


def _listen(text: str | None) -> tuple[str, int | None]:
    if text is None:
        return "127.0.0.1", None
    address, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise Fatal(f"--listen {text!r}: give a port, or an address and a port: 127.0.0.1:8080.")
    return address.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


def _secret(name: str) -> str | None:
    variable = f"ROTA_{name.upper()}"
    value, file = os.environ.get(variable), os.environ.get(f"{variable}_FILE")
    if file is None:
        return value
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise Fatal(f"{variable}_FILE names {file}, which cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise Fatal(f"{variable}_FILE names {file}, which is not text in UTF-8.") from error
