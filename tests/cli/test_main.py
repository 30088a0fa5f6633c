"""Whatever is typed and wherever it is printed: an exit code, a sentence, and never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rota.cli.main import main
from tests.scenarios import stages
from tests.scenarios.test_transcripts import REPOSITORY

NOON = "2026-06-01T12:00:00+02:00"


def rota(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    told = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY / "operator"), "HOME": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-m", "rota.cli", *arguments],
        cwd=folder,
        env=told | environment,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert b"Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "work"
    stages.forced(folder)
    return folder


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "iso8859-5", "utf-8"])
def test_a_terminal_that_knows_few_letters(small: Path, encoding: str) -> None:
    done = rota(small, "plan", "--now", NOON, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert b"Plan: " in done.stdout


def test_the_zone_and_language_of_the_machine_do_not_matter(small: Path) -> None:
    texts = {rota(small, "plan", "--now", NOON, TZ=zone, LC_ALL="C").stdout for zone in ("UTC", "Asia/Tokyo")}
    assert len(texts) == 1


def test_a_reader_that_has_seen_enough(small: Path) -> None:
    command = f"{sys.executable} -m rota.cli schema Service | head -c 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY / "operator")},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == b""
    assert done.stdout == b"{"


@pytest.mark.parametrize(
    "arguments",
    [
        ("validate", "--rev", ""),
        ("validate", "--rev", "--output=/x"),
        ("validate", "--rev", "HEAD:fleet.yaml"),
        ("validate", "--rev", "@{u}"),
        ("validate", "--path", "../.."),
        ("validate", "--path", "/"),
        ("plan", "--base", ""),
        ("plan", "--status-branch", "no such name"),
        ("plan", "--status-branch", "-x"),
        ("plan", "--status-branch", "main"),
        ("plan", "--now", "0001-01-01T00:00:00+23:59"),
        ("plan", "--now", "9999-12-31T23:59:59-23:59"),
        ("plan", "--now", ""),
        ("plan", "--repo", "https://"),
        ("plan", "--repo", "file://\udcff"),
        ("windows", "--next", ""),
        ("windows", "--next", "999999d"),
        ("windows", "--next", "١d"),
        ("get", "instances", "\udcff"),
        ("get", ""),
        ("get", "s"),
        ("schema", "\udcff"),
        ("validate", "\udcff"),
        ("demo", "--seconds", "1"),
        ("operator",),
        ("check",),
    ],
    ids=repr,
)
def test_odd_arguments_end_in_a_sentence(
    small: Path,
    arguments: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(small)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code in (0, 1, 2, 3)
    said = capsys.readouterr().err
    assert "this is a bug" not in said
    assert said.strip() or ended.value.code in (0, 1)


def test_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / os.fsdecode(b"\xff.yaml")).write_text("x: 1\n")
    (tmp_path / "line\nbreak.yaml").write_text("x: 1\n")
    done = rota(tmp_path, "validate")
    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()
    assert all(line.count(":") >= 3 for line in lines), lines


def test_a_verb_is_imported_when_it_is_used() -> None:
    code = (
        "import sys\nfrom rota.cli.main import main\ntry:\n    main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'docker', 'git', 'jsonschema', 'jsonschema_rs', 'rich', 'yaml', 'starlette', 'requests'}\n"
        "print('heavy:', sorted(heavy & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY / "operator")},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.decode().splitlines()[-1] == "heavy: []"
