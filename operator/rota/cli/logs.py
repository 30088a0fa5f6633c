"""`rota logs` and `rota exec`: what an instance writes, and a command in it, through the daemon."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterable, Iterator

import click

from rota.cli.server import Server, server_at, server_option
from rota.cli.subject import workload_named
from rota.errors import Retryable, RotaError

_MOST_LINES = 10_000


@click.command()
@click.argument("name", metavar="NAME[/SLOT]")
@server_option
@click.option("-n", "--namespace", metavar="NAMESPACE", help="The namespace, where only a name is given.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@click.option(
    "--tail",
    type=click.IntRange(0, _MOST_LINES),
    default=100,
    show_default=True,
    metavar="N",
    help="So many of the last lines of each instance.",
)
def logs(name: str, server: str | None, namespace: str | None, follow: bool, tail: int) -> None:
    """The last lines of an instance, or of all instances of a workload: `rota logs shop/web/3 -f`.

    Of several instances every line begins with whose it is: `web/3 | …`.
    """
    daemon = server_at(server)
    workload, slot = _instance(name, namespace, daemon)
    path = f"/logs/{workload}" + (f"/{slot}" if slot is not None else "")
    asked = {"lines": str(tail), "follow": "true" if follow else "false"}
    with daemon.pieces("GET", path, asked) as pieces:
        for piece in pieces:
            _write(piece)


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("name", metavar="NAME/SLOT")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@server_option
@click.option("-n", "--namespace", metavar="NAMESPACE", help="The namespace, where only a name is given.")
def run_command(name: str, command: tuple[str, ...], server: str | None, namespace: str | None) -> None:
    """Run a command in an instance: `rota exec shop/web/3 -- ls /`. Needs the daemon's token.

    Ends as the command ends.
    """
    daemon = server_at(server)
    workload, slot = _instance(name, namespace, daemon)
    if slot is None:
        raise click.UsageError(f"name an instance by its slot: {workload}/0. See: rota get instances")
    with daemon.pieces("POST", f"/exec/{workload}/{slot}", {}, {"command": list(command)}) as pieces:
        code = _shown(pieces)
    raise click.exceptions.Exit(code)


def _instance(text: str, namespace: str | None, daemon: Server) -> tuple[str, int | None]:
    """The workload, as `namespace/name`, and the slot, if one is named."""
    head, slash, last = text.rpartition("/")
    slot = int(last) if slash and last.isascii() and last.isdecimal() else None
    name = text if slot is None else head
    if name.count("/") == 1:
        return name, slot
    known = (f"{one['namespace']}/{one['name']}" for one in daemon.ask("/status")["workloads"])
    return workload_named(name, namespace, known), slot


def _shown(pieces: Iterable[bytes]) -> int:
    """Writes the output of a command; the code that it ended with."""
    try:
        for line in _lines(pieces):
            document = json.loads(line)
            if "exitCode" in document:
                return int(document["exitCode"])
            if "error" in document:
                raise RotaError(str(document["error"]))
            _write(base64.b64decode(document["output"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Retryable("the server sent what is no output of a command. Is it of this version?") from error
    raise Retryable("the server ended before the command did: whether it goes on is not known")


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines


def _write(content: bytes) -> None:
    """Bytes as they are: what a program writes is its own affair, as with `docker logs`."""
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
