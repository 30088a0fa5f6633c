"""The daemon's settings: flag > `ROTA_*` > `--config` file > default, and a sentence for what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from rota.cli.settings import OPTIONS, SECRETS, daemon_options, read_settings
from rota.errors import Fatal
from rota.settings import DaemonSettings

URL = "https://git.example/shop"


def parse(*arguments: str) -> DaemonSettings:
    """What the arguments, the environment and the file that they name come to."""
    found: list[DaemonSettings] = []

    @click.command(context_settings={"auto_envvar_prefix": "ROTA"})
    @daemon_options
    def verb(**options: Any) -> None:
        found.append(read_settings({**options, "dry_run": False}))

    verb.main(list(arguments), standalone_mode=False)
    return found[0]


@pytest.fixture(autouse=True)
def _nothing_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [names[0] for names, _ in OPTIONS] + list(SECRETS)
    for name in names:
        variable = f"ROTA_{name.removeprefix('--').replace('-', '_').upper()}"
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(f"{variable}_FILE", raising=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "rota.yaml"


def test_defaults() -> None:
    settings = parse("--repo", URL)
    assert (settings.git.branch, settings.git.status_branch) == ("main", "rota/status")
    assert (settings.git.interval, settings.git.status_interval) == (30.0, 30.0)
    assert settings.data == Path("/var/lib/rota")
    assert settings.web.port is None
    assert not settings.take_over


def test_a_flag_beats_the_environment_and_that_the_file_and_that_the_default(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("repo: https://file.example/x\nbranch: of-file\npoll-interval: 7\n")
    assert parse("--config", str(config)).git.branch == "of-file"
    assert parse("--config", str(config)).git.interval == 7.0
    monkeypatch.setenv("ROTA_BRANCH", "of-environment")
    assert parse("--config", str(config)).git.branch == "of-environment"
    assert parse("--config", str(config), "--branch", "of-flag").git.branch == "of-flag"
    assert parse("--branch", "of-flag", "--config", str(config)).git.repo == "https://file.example/x"
    monkeypatch.setenv("ROTA_CONFIG", str(config))
    assert parse().git.repo == "https://file.example/x"


@pytest.mark.parametrize("names", [names[0] for names, _ in OPTIONS])
def test_every_setting_has_three_spellings(names: str, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag, a variable and a key in the file come to the same settings, other than the defaults."""
    key = names.removeprefix("--")
    values = {"poll-interval": "9", "status-interval": "9", "listen": "8080", "take-over": "true"}
    value = values.get(key, f"/some/{key}")
    base = () if key == "repo" else ("--repo", URL)
    by_flag = parse(*base, names) if key == "take-over" else parse(*base, names, value)
    config.write_text(f"{key}: {value}\n")
    assert parse(*base, "--config", str(config)) == by_flag
    monkeypatch.setenv(f"ROTA_{key.replace('-', '_').upper()}", value)
    assert parse(*base) == by_flag
    monkeypatch.undo()
    if key != "repo":
        assert by_flag != parse(*base)


def test_secrets_come_from_the_environment_or_from_a_file_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROTA_GIT_PASSWORD", "plain")
    assert parse("--repo", URL).git.password == "plain"
    file = tmp_path / "password"
    file.write_text("from a file\n")
    monkeypatch.setenv("ROTA_GIT_PASSWORD_FILE", str(file))
    monkeypatch.setenv("ROTA_GITHUB_SECRET_FILE", str(file))
    settings = parse("--repo", URL)
    assert settings.git.password == settings.web.github_secret == "from a file"
    assert "from a file" not in repr(settings)


def test_a_secret_is_no_flag() -> None:
    with pytest.raises(click.UsageError, match="git-password"):
        parse("--repo", URL, "--git-password", "x")


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_secrets_file_that_cannot_be_read(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("ROTA_GIT_PASSWORD_FILE", str(file))
    with pytest.raises(Fatal, match=r"ROTA_GIT_PASSWORD_FILE names .*password, which"):
        parse("--repo", URL)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("brnach: main", "brnach is not a setting. There are branch, data, "),
        ("git-password: x", "git-password is a secret .* use ROTA_GIT_PASSWORD or ROTA_GIT_PASSWORD_FILE"),
        ("1: x", "1 is not a setting"),
        ("null: x\nbranch: main", "None is not a setting"),
        ("once: true", "once is not a setting"),
        ("- branch", "is not a mapping"),
        ("branch", "is not a mapping"),
        ("0", "is not a mapping"),
        ("branch: on", "branch is True; write a text or a number"),
        ("branch: [main]", r"branch is \['main'\]; write a text"),
        ("tls:", "tls is None; write a text"),
        ("take-over: sometimes", "take-over is 'sometimes'; write true or false"),
        ("branch: [", "cannot be read: .*line 1"),
        ("branch: !!python/object:os.system {}", "cannot be read: could not determine a constructor"),
        ("a: \udcff".encode("utf-8", "surrogateescape"), "cannot be read: 'utf-8' codec"),
    ],
)
def test_a_file_that_says_something_wrong(text: str | bytes, said: str, config: Path) -> None:
    config.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(Fatal, match=said) as caught:
        parse("--repo", URL, "--config", str(config))
    assert str(caught.value).startswith(f"--config {config}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}"])
def test_an_empty_file_is_one_without_settings(text: str, config: Path) -> None:
    config.write_text(text)
    assert parse("--repo", URL, "--config", str(config)) == parse("--repo", URL)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--poll-interval", "0"),
        ("--poll-interval", "nan"),
        ("--poll-interval", "inf"),
        ("--status-interval", "-3"),
        ("--status-interval", "1e9"),
        ("--listen", "here"),
        ("--listen", ""),
        ("--listen", "127.0.0.1:"),
        ("--listen", "65536"),
        ("--listen", "127.0.0.1:²"),
        ("--operator-id", "two words"),
        ("--operator-id", ""),
        ("--operator-id", "zwölf"),
    ],
)
def test_a_bad_value_is_named_with_its_flag(flag: str, value: str) -> None:
    with pytest.raises(Fatal) as caught:
        parse("--repo", URL, flag, value)
    assert str(caught.value).startswith(flag)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("flag", ["--poll-interval", "--status-interval"])
def test_what_is_no_number_is_named_with_its_flag(flag: str, config: Path) -> None:
    with pytest.raises(click.UsageError) as caught:
        parse("--repo", URL, flag, "soon")
    assert flag in caught.value.format_message()
    config.write_text(f"{flag.removeprefix('--')}: soon\n")
    with pytest.raises(click.UsageError) as caught:
        parse("--repo", URL, "--config", str(config))
    assert flag in caught.value.format_message()


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("8080", "127.0.0.1", 8080),
        (":8080", "127.0.0.1", 8080),
        ("0.0.0.0:80", "0.0.0.0", 80),
        ("0", "127.0.0.1", 0),
        ("[::1]:8080", "::1", 8080),
    ],
)
def test_where_to_listen(text: str, address: str, port: int) -> None:
    web = parse("--repo", URL, "--listen", text).web
    assert (web.address, web.port) == (address, port)
