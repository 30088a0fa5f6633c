"""What outlives the Python that brought a lab up: its layout on disk, and a lock while someone owns it."""

import fcntl
import json
import os
from pathlib import Path

from tests.lab.layout import STATE_ROOT, Layout, require_name
from tests.lab.shell import LabError
from tests.lab.waiting import wait_for


class Lock:
    """An flock on a file that is removed with the last owner. It ends with the process, also by kill -9."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock if nobody has it."""
        if self._descriptor is not None:
            return True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            # The owner before us removed the directory just now.
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The owner before us may have removed this very file after we opened it.
            ours = self.path.exists() and os.path.samestat(os.fstat(descriptor), self.path.stat())
        except OSError:
            ours = False
        if not ours:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor
        return True

    def wait(self, seconds: float) -> None:
        """Take the lock, waiting at most `seconds` for its owner."""
        wait_for(self.acquire, seconds, f"the lock {self.path}, held by process {self.owner() or 'unknown'}")

    def release(self, *, remove: bool) -> None:
        """Give the lock back; with `remove` its file goes too, which only the owner may do."""
        if self._descriptor is None:
            return
        if remove:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None

    def owner(self) -> str | None:
        """The pid that wrote the file last: who holds the lock, if anyone does."""
        try:
            return self.path.read_text().strip() or None
        except FileNotFoundError:
            return None


def lab_lock(name: str) -> Lock:
    """Held by the Python that brought the lab up, until it ends or leaves the lab to later commands."""
    require_name(name)
    return Lock(STATE_ROOT / name / "lock")


def subnet_lock() -> Lock:
    """Held while a lab picks its addresses, so that two labs coming up do not pick the same."""
    return Lock(STATE_ROOT / "subnets.lock")


def claim(lock: Lock, name: str) -> None:
    """Take the lock of a lab, or say who has it."""
    if not lock.acquire():
        raise LabError(
            f"lab {name!r} is in use by process {lock.owner() or 'unknown'}:"
            " end that first, or give another --name"
        )


def save(layout: Layout) -> None:
    """Write the layout before anything of the lab is made, so that a crash at any point can be cleaned up."""
    path = _state_file(layout.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"root": str(layout.root), "subnet": layout.subnet, "count": layout.count, "tls": layout.tls}
    unfinished = path.with_suffix(".new")
    unfinished.write_text(json.dumps(facts))
    unfinished.replace(path)


def saved(name: str) -> Layout | None:
    """The layout of a lab that is up, or of one that crashed; None where there is nothing."""
    require_name(name)
    path = _state_file(name)
    try:
        facts = json.loads(path.read_text())
        return Layout(
            name=name,
            root=Path(facts["root"]),
            subnet=facts["subnet"],
            count=facts["count"],
            tls=facts["tls"],
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise LabError(f"{path} is not a lab's state ({error}): remove it and what it described") from error


def forget(name: str) -> None:
    """Remove the state, after everything it described is gone."""
    _state_file(name).unlink(missing_ok=True)


def names() -> list[str]:
    """Every lab that has a state on this machine."""
    return sorted(path.parent.name for path in STATE_ROOT.glob("*/state.json"))


def subnets() -> set[str]:
    """The subnets of all these labs."""
    layouts = [saved(name) for name in names()]
    return {layout.subnet for layout in layouts if layout is not None}


def remove_if_empty(directory: Path) -> None:
    """Remove a directory nobody uses any more; one that another lab still uses stays."""
    try:
        directory.rmdir()
    except OSError:
        return


def _state_file(name: str) -> Path:
    return STATE_ROOT / name / "state.json"
