"""`rota plan --format json`: as its schema says, and the same bytes wherever it is made."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.scenarios import stages
from tests.scenarios.test_transcripts import REPOSITORY, run

COMMAND = "rota plan --rev HEAD --base HEAD~1 --format json"
STAGES = (stages.changed, stages.too_much, stages.moved, stages.emptied, stages.suspended, stages.forced)
EXIT_CODES = {stages.too_much: 4}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_is_as_its_schema_says(stage: Callable[[Path], object], tmp_path: Path) -> None:
    stage(tmp_path / "work")
    done = run(COMMAND, tmp_path / "work")
    assert done.returncode == EXIT_CODES.get(stage, 0), done.stderr
    schema = json.loads((REPOSITORY / "schemas/plan.json").read_text())
    Draft202012Validator(schema).validate(json.loads(done.stdout))


@pytest.mark.parametrize("stage", (stages.observed, stages.too_much), ids=lambda stage: stage.__name__)
def test_a_forecast_is_as_its_schema_says(stage: Callable[[Path], object], tmp_path: Path) -> None:
    stage(tmp_path / "work")
    done = run("rota plan --week 2026-06-01 --format json", tmp_path / "work")
    assert done.returncode == EXIT_CODES.get(stage, 0), done.stderr
    schema = json.loads((REPOSITORY / "schemas/forecast.json").read_text())
    Draft202012Validator(schema).validate(json.loads(done.stdout))


@pytest.mark.parametrize("form", ("text", "json", "markdown", "svg"))
def test_a_forecast_is_the_same_in_another_clone(form: str, tmp_path: Path) -> None:
    """From the repository and its status branch alone: no host is asked, wherever it is made."""
    stages.observed(tmp_path / "work")
    clone = ["git", "clone", "--quiet", "--no-local", "work", "clone"]
    subprocess.run(clone, cwd=tmp_path, check=True, capture_output=True)
    command = f"rota plan --day 2026-06-02 --format {form}"
    once, again = (run(command, tmp_path / name) for name in ("work", "clone"))
    assert once.stdout
    assert once.stdout == again.stdout


def test_is_the_same_twice_and_in_another_clone(tmp_path: Path) -> None:
    stages.changed(tmp_path / "work")
    for command in (
        ["git", "clone", "--quiet", "--no-local", "work", "clone"],
        ["git", "clone", "--quiet", "--mirror", "work", "bare"],
    ):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    once, twice, clone, bare = (run(COMMAND, tmp_path / name) for name in ("work", "work", "clone", "bare"))
    url = run(f"rota plan --repo file://{tmp_path}/work --format json", tmp_path)
    assert once.stdout
    assert {one.stdout for one in (twice, clone, bare, url)} == {once.stdout}


def test_a_folder_below_the_root_is_compared_with_itself(tmp_path: Path) -> None:
    """The same manifests in a subfolder: a revision is read in that folder, not in the whole repository."""
    repository = stages.changed(tmp_path / "work")
    (repository.path / "deploy").mkdir()
    for name in ("fleet.yaml", "hosts", "shop", "analytics", "policies"):
        repository.git("mv", name, f"deploy/{name}")
    repository.commit("Down")
    (repository.path / "unrelated.yaml").write_text("not: ours\n")
    repository.commit("Something else")
    done = run("rota validate --rev HEAD", repository.path / "deploy")
    assert done.returncode == 0, done.stdout
    assert run("rota validate --rev HEAD", repository.path).returncode == 1


def test_what_is_compared_with_may_be_invalid(tmp_path: Path) -> None:
    """A commit that mends: the plan of it is that of the head."""
    repository = stages.broken(tmp_path / "work")
    repository.git("revert", "--no-edit", "HEAD")
    done = run("rota plan --rev HEAD --base HEAD~1 --now 2026-06-01T12:00:00+02:00", repository.path)
    assert done.returncode == 0, done.stderr
    assert b"Plan: 22 to start" in done.stdout
