from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rota.errors import Fatal
from rota.gitrepo.git import Git, GitFailed, GitInterrupted
from tests.gitrepo.origin import Origin


def test_nothing_of_the_callers_git_environment_leaks_in(
    origin: Origin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Git().run("version", deadline=10)  # GitPython asks for git's version by itself when first imported
    trace = tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE", str(trace))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "alias.foreign")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "!touch /tmp/x")
    monkeypatch.setenv("GIT_CONFIG_KEY_90", "user.name")
    monkeypatch.setenv("GIT_EXEC_PATH", "/nowhere")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nowhere")
    monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")
    listed = Git(origin.path).run("config", "--list", "--show-scope", deadline=10).decode()
    assert "core.hookspath=/dev/null" in listed
    assert "alias.foreign" not in listed
    assert {line.split("\t")[0] for line in listed.splitlines()} == {"command", "local"}
    assert not trace.exists()


def test_a_homes_configuration_is_ignored(
    origin: Origin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = Mallory\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(GitFailed):
        Git(origin.path).run("config", "user.name", deadline=10)


def test_nothing_is_discovered_where_the_caller_stands(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(origin.path)
    with pytest.raises(GitFailed, match="not a git repository"):
        Git().run("rev-parse", "--git-dir", deadline=10)


def test_protocols_that_run_programs_are_off(tmp_path: Path) -> None:
    with pytest.raises(GitFailed, match="transport 'ext' not allowed"):
        Git().run("ls-remote", "--", f"ext::touch {tmp_path}/owned", deadline=10)
    assert not (tmp_path / "owned").exists()


def test_input_and_output_are_bytes(origin: Origin) -> None:
    content = bytes(range(256)) * 4096 + b"\n"
    git = Git(origin.path)
    stored = git.run("hash-object", "-w", "--stdin", deadline=10, stdin=content).decode().strip()
    assert git.run("cat-file", "blob", stored, deadline=10) == content


def test_a_failure_carries_status_and_words(origin: Origin) -> None:
    with pytest.raises(GitFailed) as failed:
        Git(origin.path).run("rev-parse", "--verify", "nowhere", deadline=10)
    assert failed.value.status == 128
    assert "Needed a single revision" in failed.value.stderr


def test_the_deadline_ends_git_and_all_that_it_started(origin: Origin, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    os.mkfifo(pids)
    # Git runs an alias through a shell: a grandchild that ignores SIGTERM and holds git's pipes.
    script = f"!trap '' TERM; (trap '' TERM; sleep 600) & echo $$ $! > {pids}; wait"
    git = Git(origin.path, settings={"alias.stubborn": script})
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.extend(pids.read_text().split()))
    reader.start()
    with pytest.raises(GitInterrupted, match=r"no answer within 0.3 s"):
        git.run("stubborn", deadline=0.3)
    reader.join()
    assert len(seen) == 2
    for pid in seen:
        with pytest.raises(ProcessLookupError):
            _wait_until_gone(int(pid))


def _wait_until_gone(pid: int) -> None:
    """Raises ProcessLookupError at the end; a killed orphan stays for a moment until init collects it."""
    for _ in range(1000):
        os.kill(pid, 0)
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                raise ProcessLookupError
        except FileNotFoundError:
            raise ProcessLookupError from None
        os.sched_yield()


def test_git_is_asked_to_end_before_it_is_killed(origin: Origin, tmp_path: Path) -> None:
    said = tmp_path / "said"
    script = f"!trap 'echo bye > {said}; exit 0' TERM; sleep 600 & wait"
    with pytest.raises(GitInterrupted):
        Git(origin.path, settings={"alias.polite": script}).run("polite", deadline=0.3)
    assert said.read_text() == "bye\n"


def test_a_signal_is_no_verdict_of_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Git().run("version", deadline=10)
    killed = tmp_path / "git"
    killed.write_text("#!/bin/sh\nkill -KILL $$\n")
    killed.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(GitInterrupted, match="signal 9"):
        Git().run("version", deadline=10)


def test_git_that_cannot_start_is_no_verdict_of_git(origin: Origin) -> None:
    with pytest.raises(GitInterrupted, match="could not be started"):
        Git(origin.path).run("hash-object", "x" * 2_000_000, deadline=10)


def test_no_threads_and_no_open_files_are_left(origin: Origin) -> None:
    git = Git(origin.path)
    git.run("rev-parse", "--git-dir", deadline=10)
    before = len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
    for _ in range(20):
        git.run("hash-object", "--stdin", deadline=10, stdin=b"x")
    assert (len(list(Path("/proc/self/fd").iterdir())), threading.active_count()) == before


def test_an_interrupt_ends_the_child(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            Git(origin.path, settings={"alias.long": "!sleep 600"}).run("long", deadline=60)
    finally:
        signal.signal(signal.SIGALRM, previous)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_without_git_it_is_fatal() -> None:
    program = (
        "from rota.gitrepo.git import Git\nfrom rota.errors import Fatal\n"
        "try:\n    Git().run('version', deadline=10)\nexcept Fatal as error:\n    print(error)\n"
    )
    environment = {"PATH": "/nowhere", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    assert b"install git" in done.stdout
    assert issubclass(Fatal, Exception)


def test_importing_the_package_does_not_import_gitpython() -> None:
    program = "import sys, rota.gitrepo; sys.exit('git' in sys.modules)"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
