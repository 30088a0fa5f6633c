"""Every test: `python -m tests`. Those on the lab wait for Engines most of the time, so that all others run
beside them; what they print is told afterwards. Arguments go to both.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence

import pytest

ON_THE_LAB = ("tests/lab", "tests/contract")
NOTHING_TO_DO = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
"""With arguments that choose tests, one of the two may have none."""


def main(arguments: Sequence[str]) -> int:
    """The exit code of the first of the two that failed."""
    run = [sys.executable, "-m", "pytest", *arguments]
    others = [f"--ignore={folder}" for folder in ON_THE_LAB]
    with tempfile.TemporaryFile() as said:
        on_the_lab = subprocess.Popen([*run, *ON_THE_LAB], stdout=said, stderr=subprocess.STDOUT)
        try:
            code = subprocess.run([*run, "tests", *others], check=False).returncode
            lab_code = on_the_lab.wait()
        finally:
            on_the_lab.terminate()
            on_the_lab.wait()
        print(f"\n{' and '.join(ON_THE_LAB)}:", flush=True)
        said.seek(0)
        sys.stdout.buffer.write(said.read())
    failed = [one for one in (code, lab_code) if one not in NOTHING_TO_DO]
    return failed[0] if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
