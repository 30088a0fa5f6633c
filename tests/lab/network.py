"""The wires of a lab: a bridge, and per host a network namespace with a veth pair to it.

A host has no default route: what it cannot reach on its own bridge it cannot reach at all, so a
lab never sends a packet off this machine, and a pull from an unknown registry fails at once.
"""

import json
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.layout import NETWORK, LabHost, Layout
from tests.lab.shell import LabError, run, works

NAMESPACES = Path("/run/netns")
STOP_SECONDS = 10.0
IPTABLES = ("iptables", "-w", "5")


def inside(host: LabHost, *command: str) -> tuple[str, ...]:
    """`command` in the host's network namespace. Not `ip netns exec`: that hides the cgroups from it."""
    return ("nsenter", f"--net={NAMESPACES / host.namespace}", *command)


def free_subnet(name: str, claimed: set[str]) -> str:
    """A 10.213.x neither `claimed` nor on an interface here; a name gets the same one each time if it can."""
    interfaces = json.loads(run("ip", "-json", "-4", "address"))
    addresses = [address["local"] for interface in interfaces for address in interface.get("addr_info", ())]
    taken = claimed | {address.rpartition(".")[0] for address in addresses}
    first = zlib.crc32(name.encode()) % 256
    for step in range(256):
        subnet = f"{NETWORK}.{(first + step) % 256}"
        if subnet not in taken:
            return subnet
    raise LabError(f"every {NETWORK}.x.0/24 is taken on this machine: take a lab down first")


def make_bridge(layout: Layout) -> None:
    """The bridge with this machine's own address on it."""
    run("ip", "link", "add", layout.bridge, "type", "bridge")
    run("ip", "address", "add", f"{layout.gateway}/24", "dev", layout.bridge)
    run("ip", "link", "set", layout.bridge, "up")
    # Where a dockerd ever ran on this machine itself, forwarding is DROP and bridged frames pass it too.
    run(*IPTABLES, "-I", *_bridge_rule(layout))


def connect(layout: Layout, host: LabHost) -> None:
    """The host's namespace, its address, and its wire to the bridge."""
    run("ip", "netns", "add", host.namespace)
    run("ip", "link", "add", host.veth, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
    run("ip", "link", "set", host.veth, "master", layout.bridge, "up")
    run("ip", "-netns", host.namespace, "link", "set", "lo", "up")
    run("ip", "-netns", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
    run("ip", "-netns", host.namespace, "link", "set", "eth0", "up")


def remove(layout: Layout) -> None:
    """Take away every wire of the lab; what is gone already is no error."""
    for host in layout.hosts.values():
        if has_link(host.veth):
            run("ip", "link", "delete", host.veth)
        if (NAMESPACES / host.namespace).exists():
            run("ip", "netns", "delete", host.namespace)
    if has_link(layout.bridge):
        run("ip", "link", "delete", layout.bridge)
    if works(*IPTABLES, "-C", *_bridge_rule(layout)):
        run(*IPTABLES, "-D", *_bridge_rule(layout))


def has_link(name: str) -> bool:
    """Whether this machine has an interface of that name."""
    return (Path("/sys/class/net") / name).exists()


def set_link(host: LabHost, *, up: bool) -> None:
    """Plug the host's wire in, or pull it."""
    run("ip", "link", "set", host.veth, "up" if up else "down")


def is_cut(host: LabHost) -> bool:
    """Whether the host's wire is pulled."""
    return (Path("/sys/class/net") / host.veth / "operstate").read_text().strip() != "up"


def drop_answers(host: LabHost) -> None:
    """Let requests reach the host's API and lose every answer."""
    if not drops_answers(host):
        run(*inside(host, *IPTABLES, "-I", *_answer_rule(host)))


def restore_answers(host: LabHost) -> None:
    """Let answers out again."""
    if drops_answers(host):
        run(*inside(host, *IPTABLES, "-D", *_answer_rule(host)))


def drops_answers(host: LabHost) -> bool:
    """Whether the host's answers are being lost."""
    return works(*inside(host, *IPTABLES, "-C", *_answer_rule(host)))


@contextmanager
def listening(host: LabHost, busybox: str, port: int) -> Iterator[None]:
    """A program of the host itself, no container, that holds a TCP port."""
    program = subprocess.Popen(inside(host, busybox, "httpd", "-f", "-p", str(port)))
    try:
        yield
    finally:
        program.kill()
        program.wait(STOP_SECONDS)


def _bridge_rule(layout: Layout) -> tuple[str, ...]:
    return ("FORWARD", "-i", layout.bridge, "-o", layout.bridge, "-j", "ACCEPT")


def _answer_rule(host: LabHost) -> tuple[str, ...]:
    return ("OUTPUT", "-p", "tcp", "--sport", str(host.port), "-j", "DROP")
