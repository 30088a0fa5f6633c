"""The package as a whole: how it is laid out, what it weighs, and what it ships."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "operator" / "rota"
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST_MODULE = 400
LONGEST_FUNCTION = 70


def python(*arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"]} | ({"PYTHONPATH": path} if path else {})
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def tracked(folder: str) -> list[str]:
    done = subprocess.run(
        ["git", "ls-files", folder], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_the_folder_holds_the_package_and_nothing_else() -> None:
    """A folder named `operator` must never become the module of that name, which `queue` and others need."""
    assert not (REPOSITORY / "operator" / "__init__.py").exists()
    assert [name for name in tracked("operator") if not name.startswith("operator/rota/")] == []


def test_the_folder_does_not_hide_the_standard_module() -> None:
    done = python("-c", "import operator, queue; print(operator.add(1, 2), queue.Queue().qsize())")
    assert (done.returncode, done.stdout) == (0, "3 0\n"), done.stderr


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_small_and_says_what_it_is_for(module: Path) -> None:
    text = module.read_text()
    tree = ast.parse(text)
    docstring = ast.get_docstring(tree)
    assert docstring, "no docstring"
    assert len(text.splitlines()) <= LONGEST_MODULE
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= LONGEST_FUNCTION, f"{node.name} has {lines} lines"


def test_nothing_is_left_for_later() -> None:
    words = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
    files = [*tracked("operator"), *tracked("tests"), *tracked("schemas"), *tracked("example-repo")]
    found = [
        name for name in files if (REPOSITORY / name).is_file() and words.search(_text(REPOSITORY / name))
    ]
    assert found == []


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


@pytest.mark.parametrize("name", ["CHANGELOG.md", "LICENSE", "README.md", "CONTRIBUTING.md"])
def test_what_a_project_has(name: str) -> None:
    assert (REPOSITORY / name).read_text().strip()


def test_help_imports_no_library_but_click() -> None:
    code = (
        "import sys\nsys.argv = ['rota', '--help']\nfrom rota.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert ended.code == 0\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = python("-c", code, path="operator")
    assert done.returncode == 0, done.stderr
    imported = set(ast.literal_eval(done.stdout.splitlines()[-1]))
    assert imported.isdisjoint({"docker", "git", "jsonschema", "jsonschema_rs", "rich", "yaml", "requests"})


def test_every_schema_is_one() -> None:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - slow

    for path in sorted((REPOSITORY / "schemas").glob("*.json")):
        schema = json.loads(path.read_text())
        Draft202012Validator.check_schema(schema)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["$id"].endswith(f"/{path.name}")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    done = python("-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), ".")
    if done.returncode != 0:
        why = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        if re.search(
            r"No matching distribution|Could not find a version|connection|Temporary failure|resolve",
            done.stderr,
        ):
            pytest.skip(f"pip cannot get the build backend here: {why[0]}")
        pytest.fail(done.stderr)
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_ships_what_the_commands_need(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert {f"rota/schemas/{path.name}" for path in (REPOSITORY / "schemas").glob("*.json")} <= names
    assert {f"rota/{name}" for name in tracked("example-repo")} <= names
    assert {str(Path("rota") / path.relative_to(PACKAGE)) for path in MODULES} <= names
    assert "rota/py.typed" in names
    assert not [name for name in names if not name.startswith(("rota/", "rota-"))]
    assert not [name for name in names if "__pycache__" in name]


def test_the_wheel_works_without_the_repository(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    for arguments in (("schema", "Service"), ("validate", str(tmp_path / "rota/example-repo"))):
        done = python("-P", "-m", "rota.cli", *arguments, path=str(tmp_path))
        assert done.returncode == 0, done.stderr
    where = python("-P", "-c", "import rota.cli.main; print(rota.cli.main.__file__)", path=str(tmp_path))
    assert where.stdout.startswith(str(tmp_path))
