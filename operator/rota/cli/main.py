"""`rota`: finds the verb, turns every outcome into an exit code, and never shows a traceback.

Exit codes: 0 done · 1 the answer is no · 2 usage or settings · 3 the operation failed · 4 something
cannot be placed · 5 timed out · 130/143 on signals.
"""

from __future__ import annotations

import gc
import importlib
import io
import os
import sys
from typing import TYPE_CHECKING

import click

import rota
from rota.errors import Fatal, RotaError

if TYPE_CHECKING:
    from collections.abc import Sequence

NO, USAGE, FAILED, UNPLACED, TIMED_OUT = 1, 2, 3, 4, 5

VERBS = {
    "check": ("rota.cli.check", "Can Rota reach and write what it needs?"),
    "describe": ("rota.cli.describe", "One host or workload: conditions, instances, causes, events."),
    "demo": ("rota.cli.demo", "A whole day of the example shop in a few minutes."),
    "diff": ("rota.cli.diff", "What is desired against what is observed; exit 1 if they differ."),
    "events": ("rota.cli.events", "What was done, and what was not, with its cause."),
    "exec": ("rota.cli.logs:run_command", "Run a command in an instance, through the daemon."),
    "get": ("rota.cli.read", "List hosts, workloads or instances."),
    "history": ("rota.cli.history", "Which commits were deployed, and what came of them."),
    "logs": ("rota.cli.logs", "What instances write, through the daemon."),
    "operator": ("rota.cli.operator", "The daemon."),
    "plan": ("rota.cli.plan", "What a change does, before it is merged."),
    "schema": ("rota.cli.schema", "Print the JSON Schemas of the manifests."),
    "simulate": ("rota.cli.simulate", "The fleet through days in seconds, with failures."),
    "status": ("rota.cli.read", "One screen; exit 1 if anything is not Ready."),
    "validate": ("rota.cli.validate", "Check manifests: YAML, schema, references, windows."),
    "why": ("rota.cli.why", "Why a workload runs where it does, or nowhere."),
    "windows": ("rota.cli.windows", "Windows in force and the edges to come."),
}
"""Verb → module, where the function has another name with it, and the line in `rota --help`; a module is
imported when its verb is used."""


class Verbs(click.Group):
    """Imports only the verb that is called, so that `--help` and completion answer at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), name or cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, line) for verb, (_, line) in sorted(VERBS.items())])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(rota.__version__, prog_name="rota")
def cli() -> None:
    """The duty roster of a Docker fleet.

    Read verbs work from the repository and its status branch alone: no daemon, no access to hosts.
    """


def collect_rarely() -> None:
    """Look for garbage in cycles less often: a decision makes frozen values by the hundred thousand, which
    have none, and going through them takes a tenth of its time."""
    gc.set_threshold(50_000, 20, 20)


def main(arguments: Sequence[str] | None = None) -> None:
    """The console command. Ends the interpreter with the exit code."""
    collect_rarely()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows no such letter is shown its number
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    """The exit code of a command. What is raised on purpose is a sentence; the rest is a bug, and says so."""
    code: object = 0
    try:
        code = cli.main(args=arguments, prog_name="rota", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    except click.Abort:
        code = 130
    except click.ClickException as error:
        error.show()
        code = USAGE
    except Fatal as error:
        click.echo(f"rota: {error}", err=True)
        code = USAGE
    except RotaError as error:
        click.echo(f"rota: {error}", err=True)
        code = FAILED
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        named = f"{error.filename}: " if error.filename is not None else ""
        click.echo(f"rota: {named}{error.strerror or error}", err=True)
        code = FAILED
    except Exception as error:  # noqa: BLE001 - nobody is shown a traceback
        click.echo(f"rota: this is a bug, please report it: {_place_of(error)}: {error!r}", err=True)
        code = FAILED
    return code if isinstance(code, int) else 0


def _place_of(error: Exception) -> str:
    """The module and line that raised it: what a report needs."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace is not None else "rota"
