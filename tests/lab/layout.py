"""The names, addresses and paths of a lab: everything it makes can be derived from these few facts."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.lab.shell import LabError

STATE_ROOT = Path("/var/lib/rota-lab")
NETWORK = "10.213"
ZONES = "abcdefghijklmnopqrstuvwxyz"
MOST_HOSTS = 99
PLAIN_PORT = 2375
TLS_PORT = 2376
# The kernel's limit for the path of a unix socket, less the longest one below a lab's folder.
LONGEST_FOLDER = 107 - len("/h99/exec/containerd/containerd.sock.ttrpc")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabHost:
    """One Docker host of a lab: a dockerd in a network namespace of its own."""

    name: str
    address: str
    zone: str
    folder: Path
    namespace: str
    veth: str
    cgroup: str
    tls: bool

    @property
    def endpoint(self) -> str:
        """Where its API answers. dockerd has one TLS setting for all its ports, so it is one or the other."""
        return f"tcp://{self.address}:{self.port}"

    @property
    def tls_endpoint(self) -> str | None:
        """The same, where the lab was brought up with TLS."""
        return self.endpoint if self.tls else None

    @property
    def port(self) -> int:
        """The TCP port of its API."""
        return TLS_PORT if self.tls else PLAIN_PORT

    @property
    def socket(self) -> Path:
        """The unix socket of its API: always plain, and out of reach of every network fault."""
        return self.folder / "docker.sock"

    @property
    def data_root(self) -> Path:
        """Where dockerd keeps images, containers and volumes."""
        return self.folder / "data"

    @property
    def exec_root(self) -> Path:
        """Where dockerd keeps what lives as long as its processes."""
        return self.folder / "exec"

    @property
    def pidfile(self) -> Path:
        """Written by dockerd; stale after `Lab.kill`."""
        return self.folder / "docker.pid"

    @property
    def log(self) -> Path:
        """What dockerd prints."""
        return self.folder / "dockerd.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The facts of one lab; `subnet` is the first three numbers of its addresses."""

    name: str
    root: Path
    subnet: str
    count: int
    tls: bool

    def __post_init__(self) -> None:
        """Refuse what would make a name too long for the kernel, or a path that could be misread."""
        require_name(self.name)
        if not 1 <= self.count <= MOST_HOSTS:
            raise LabError(f"a lab has 1 to {MOST_HOSTS} hosts, not {self.count}")
        if len(str(self.folder)) > LONGEST_FOLDER:
            raise LabError(
                f"{self.folder} is too long for the unix sockets below it:"
                f" give a root so that root and name have at most {LONGEST_FOLDER} characters"
            )

    @property
    def folder(self) -> Path:
        """Holds the hosts' folders and the certificates."""
        return self.root / self.name

    @property
    def bridge(self) -> str:
        """The bridge all hosts hang on; also the prefix of the lab's other kernel names."""
        return f"lab-{self.name}"

    @property
    def gateway(self) -> str:
        """This machine's own address on the bridge."""
        return f"{self.subnet}.1"

    @property
    def cgroup(self) -> str:
        """The parent cgroup of all containers of the lab."""
        return f"rota-{self.bridge}"

    @property
    def hosts(self) -> dict[str, LabHost]:
        """h1 to hN by name; h1 has the address .11, and the zones go a, b, c, …"""
        return {
            f"h{number}": LabHost(
                name=f"h{number}",
                address=f"{self.subnet}.{10 + number}",
                zone=ZONES[(number - 1) % len(ZONES)],
                folder=self.folder / f"h{number}",
                namespace=f"{self.bridge}-h{number}",
                veth=f"{self.bridge}-{number}",
                cgroup=self.cgroup,
                tls=self.tls,
            )
            for number in range(1, self.count + 1)
        }


def require_name(name: str) -> None:
    """Refuse a lab name that does not fit: the kernel's interface names end at 15 characters."""
    if not re.fullmatch(r"[a-z][a-z0-9]{0,7}", name):
        raise LabError(f"{name!r} cannot name a lab: use 1 to 8 of a-z and 0-9, a letter first")
