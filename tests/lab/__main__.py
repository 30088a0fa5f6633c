"""The lab by hand: `python -m tests.lab up 3`, `cut h2`, `status`, `down`, or `run 3 -- COMMAND`."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

from tests.lab import daemon, network, state
from tests.lab.hosts import Lab
from tests.lab.layout import LabHost
from tests.lab.shell import LabError

FAULTS = (
    *("cut", "heal", "kill", "start", "stop", "pause", "unpause"),
    *("drop_answers", "restore_answers", "fill_disk", "free_disk"),
)
HOSTS_VARIABLE = "ROTA_LAB_HOSTS"
FAULTS_VARIABLE = "ROTA_LAB_FAULTS"
NAME_VARIABLE = "ROTA_LAB_NAME"
"""The lab that is meant where `--name` does not say."""
EXIT_FAILURE = 3
EXIT_NO_SUCH_COMMAND = 127
SIGNALLED = 128


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; the exit code is 0, 2 for wrong usage, 3 where it could not be done."""
    chosen = _parser().parse_args(_without_separator(arguments))
    chosen.command_line = _after_separator(arguments)
    if chosen.action == "run" and not chosen.command_line:
        _parser().error("run needs a command after --, as in: run 3 -- make demo")
    try:
        return int(chosen.act(chosen))
    except (LabError, TimeoutError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return EXIT_FAILURE
    except KeyboardInterrupt:
        return SIGNALLED + signal.SIGINT


def _parser() -> argparse.ArgumentParser:
    """The command line; every subcommand names the function that does it."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)

    up = actions.add_parser("up", help="bring a lab up and leave it up")
    up.add_argument("count", nargs="?", type=_host_count, default=3, metavar="N")
    up.add_argument("--name", default="rota")
    up.add_argument("--tls", action="store_true", help="serve the API with TLS on 2376 in place of 2375")
    up.set_defaults(act=_up)

    down = actions.add_parser("down", help="take a lab down")
    down.add_argument("--name", default="rota")
    down.set_defaults(act=_down)

    status = actions.add_parser("status", help="show every lab of this machine")
    status.set_defaults(act=_status)

    for fault in FAULTS:
        action = actions.add_parser(fault.replace("_", "-"), help=getattr(Lab, fault).__doc__)
        action.add_argument("host", metavar="HOST")
        action.add_argument("--name", default=os.environ.get(NAME_VARIABLE, "rota"))
        action.set_defaults(act=_fault, fault=fault)

    run = actions.add_parser("run", help="bring a lab up, run the command after -- with it, take it down")
    run.add_argument("count", nargs="?", type=_host_count, default=3, metavar="N")
    run.add_argument("--name", default="demo")
    run.add_argument("--or-without", action="store_true", help="run the command also where no lab can be had")
    run.set_defaults(act=_run)
    return parser


def _host_count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("a lab has at least one host")
    return number


def _without_separator(arguments: Sequence[str]) -> list[str]:
    """The lab's own part of the command line."""
    own = list(arguments)
    return own[: own.index("--")] if "--" in own else own


def _after_separator(arguments: Sequence[str]) -> list[str]:
    """The command that `run` runs."""
    own = list(arguments)
    return own[own.index("--") + 1 :] if "--" in own else []


def _up(chosen: argparse.Namespace) -> int:
    Lab.up(chosen.count, name=chosen.name, tls=chosen.tls, log=_say).leave()
    return 0


def _down(chosen: argparse.Namespace) -> int:
    if state.saved(chosen.name) is None:
        _say(f"there is no lab {chosen.name}")
        return 0
    Lab.attach(chosen.name).down()
    _say(f"lab {chosen.name} is down")
    return 0


def _fault(chosen: argparse.Namespace) -> int:
    getattr(Lab.attach(chosen.name), chosen.fault)(chosen.host)
    return 0


def _status(chosen: argparse.Namespace) -> int:
    """One line per host, faults included."""
    for name in state.names():
        lab = Lab.attach(name)
        for host in lab.hosts.values():
            print(f"{name}  {host.name}  {host.endpoint}  zone={host.zone}  {', '.join(_condition(host))}")
    return 0


def _condition(host: LabHost) -> list[str]:
    """What is wrong with a host, in words; `running` where nothing is."""
    if not network.has_link(host.veth):
        return ["left over from a run that crashed"]
    words = []
    if daemon.pid(host) is None:
        words.append("dockerd down")
    if daemon.is_paused(host):
        words.append("dockerd paused")
    if network.is_cut(host):
        words.append("cut off")
    if network.drops_answers(host):
        words.append("answers dropped")
    if daemon.disk_is_full(host):
        words.append("disk full")
    return words or ["running"]


def _run(chosen: argparse.Namespace) -> int:
    """The command's exit code, with a lab around it."""
    try:
        lab = Lab.up(chosen.count, name=chosen.name, log=_say)
    except (LabError, TimeoutError) as error:
        if not chosen.or_without:
            raise
        print(f"lab: {' '.join(str(error).split())}; going on without one", file=sys.stderr)
        return _run_command(chosen.command_line, None, chosen.name)
    with lab:
        return _run_command(chosen.command_line, lab, chosen.name)


def _run_command(command: Sequence[str], lab: Lab | None, name: str) -> int:
    """Run it to its end, passing SIGINT and SIGTERM on; ended by signal N counts as exit code 128 + N.

    In its environment it finds the endpoints of the lab's hosts, and the command that does them harm.
    """
    ours = (HOSTS_VARIABLE, FAULTS_VARIABLE)
    environment = {key: value for key, value in os.environ.items() if key not in ours}
    if lab is not None:
        hosts = lab.hosts.values()
        environment[HOSTS_VARIABLE] = ",".join(f"{host.name}={host.endpoint}" for host in hosts)
        environment[FAULTS_VARIABLE] = f"{shlex.quote(sys.executable)} -m tests.lab"
        environment[NAME_VARIABLE] = name
    try:
        command_run = subprocess.Popen(command, env=environment)
    except OSError as error:
        print(f"lab: cannot run {command[0]!r}: {error.strerror}", file=sys.stderr)
        return EXIT_NO_SUCH_COMMAND

    def pass_on(number: int, frame: FrameType | None) -> None:
        # Ctrl-C at a terminal reaches the command by itself: twice would mean "at once" to many programs.
        if number != signal.SIGINT or not _at_a_terminal():
            command_run.send_signal(number)

    previous = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = command_run.wait()
    finally:
        for number, action in previous.items():
            signal.signal(number, action)
    return SIGNALLED - code if code < 0 else code


def _at_a_terminal() -> bool:
    """Whether we are in the foreground of a terminal, which sends its Ctrl-C to us and to the command."""
    try:
        with open("/dev/tty") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def _say(line: str) -> None:
    """Progress goes to stderr: stdout belongs to the command that `run` runs."""
    print(f"lab: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
