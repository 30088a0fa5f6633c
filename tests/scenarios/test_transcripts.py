"""Commands typed into example repositories, and word for word what they print.

`ROTA_GOLDEN=write` writes the files of `golden/` anew, to be read before they are committed.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.scenarios.table import SCENARIOS

GOLDEN = Path(__file__).parent / "golden"
REPOSITORY = Path(__file__).resolve().parents[2]
PLACEHOLDER = "REPOSITORY"
STATUS_COMMIT = re.compile(r"\bstatus [0-9a-f]{7}\b")
"""It stands for every byte of the status branch: a word in its README would change all transcripts."""


def run(command: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """`rota …` in `folder`, as a shell of a machine without any settings would run it."""
    words = [word.replace(PLACEHOLDER, str(folder)) for word in shlex.split(command)]
    assert words[0] == "rota"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY / "operator"),
        "HOME": "/nonexistent",
        "NO_COLOR": "1",
        "TZ": "Pacific/Auckland",
    }
    return subprocess.run(
        [sys.executable, "-m", "rota.cli", *words[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
        timeout=60,
    )


def transcript(command: str, folder: Path) -> str:
    """The command, its stdout, its stderr marked by `2>`, and how it ended."""
    done = run(command, folder)
    out = done.stdout.decode()
    err = "".join(f"2> {line}\n".replace("2> \n", "2>\n") for line in done.stderr.decode().splitlines())
    if out and not out.endswith("\n"):
        out += "(no line end)\n"
    told = f"$ {command}\n{out}{err}[exit {done.returncode}]\n".replace(str(folder), f"/{PLACEHOLDER}")
    return STATUS_COMMIT.sub("status 0000000", told)


def play(name: str, folder: Path) -> str:
    scenario = SCENARIOS[name]
    scenario.stage(folder)
    with ThreadPoolExecutor(8) as pool:
        texts = pool.map(lambda command: transcript(command, folder), scenario.commands)
    return "\n".join(texts)


@pytest.mark.parametrize("name", SCENARIOS)
def test_transcript(name: str, tmp_path: Path) -> None:
    told = play(name, tmp_path / "work")
    assert "Traceback" not in told
    assert "this is a bug" not in told
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("ROTA_GOLDEN") == "write":
        golden.write_text(told)
    assert told == golden.read_text()


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(SCENARIOS)
