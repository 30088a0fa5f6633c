"""The images of the lab: stand-ins for the programs of an example shop, made here from busybox.

Every image runs without a command, stays in the foreground, ends on SIGTERM at once, and has
`healthy` inside. What its environment can ask of it is written in `programs/life.sh` and
`programs/healthy.sh`: START_DELAY, EXIT_AFTER, FAIL_HEALTH.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.lab.archive import Entry, Image, directory, file, link, write_archive
from tests.lab.packages import busybox
from tests.lab.shell import LabError, run

PROGRAMS = Path(__file__).parent / "programs"
CACHE = Path("/var/cache/rota-lab")
NO_PORT = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one image differs from the others."""

    name: str
    command: tuple[str, ...]
    port: int | None = None
    server: str | None = None
    client: str | None = None
    state: str | None = None

    @property
    def version(self) -> str:
        """The tag, served at /version."""
        return self.name.rpartition(":")[2]


RECIPES = (
    Recipe(name="varnish:7.6", port=80, server="varnishd", client="varnishadm", command=("varnishd", "-F")),
    Recipe(name="redis:7.4", port=6379, server="redis-server", client="redis-cli", command=("redis-server",)),
    Recipe(name="memcached:1.6", port=11211, server="memcached", command=("memcached",)),
    Recipe(
        name="mysql:8.4",
        port=3306,
        server="mysqld",
        client="mysqladmin",
        command=("mysqld",),
        state="var/lib/mysql",
    ),
    Recipe(name="registry.example/shop/web:1.5.0", port=8080, command=("/app", "serve")),
    Recipe(name="registry.example/shop/web:1.6.0", port=8080, command=("/app", "serve")),
    Recipe(name="registry.example/analytics/worker:2.3.0", command=("/app", "work")),
)
NAMES = tuple(recipe.name for recipe in RECIPES)

# A well-formed name of which no registry and no host has an image: what a failing pull asks for.
ABSENT = "registry.example/shop/web:nope"


def image_archive(log: Callable[[str], None] = print) -> Path:
    """The file that holds all images, in the format of `docker load`; made once, then kept in `CACHE`."""
    binary = busybox()
    if binary is None:
        raise LabError("the images need a static busybox: install the package busybox-static")
    archive = CACHE / f"images-{_fingerprint(binary)}.tar"
    if not archive.exists():
        log(f"making {len(RECIPES)} images from {binary}")
        CACHE.mkdir(parents=True, exist_ok=True)
        unfinished = archive.with_suffix(f".{os.getpid()}")
        write_archive(unfinished, _base_layer(binary), [_image(recipe) for recipe in RECIPES])
        unfinished.replace(archive)
    return archive


def _fingerprint(binary: Path) -> str:
    """Changes when anything the images are made of changes, this code included."""
    made_of = [binary, *sorted(PROGRAMS.iterdir()), Path(__file__), Path(__file__).with_name("archive.py")]
    digest = hashlib.sha256()
    for path in made_of:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _base_layer(binary: Path) -> list[Entry]:
    """What all images share: busybox under all its names, the programs, an empty system around them."""
    empty = ("dev", "etc", "proc", "root", "run", "sys", "usr/local/lib", "var", "www")
    applets = run(str(binary), "--list-full").split()
    return [
        *(directory(path) for path in empty),
        directory("tmp", mode=0o1777),
        file("bin/busybox", binary.read_bytes(), mode=0o755),
        *(link(applet, "/bin/busybox") for applet in applets if applet != "bin/busybox"),
        file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
        file("etc/group", b"root:x:0:\nnogroup:x:65534:\n"),
        file("usr/local/lib/life.sh", (PROGRAMS / "life.sh").read_bytes()),
        *(_program(name, f"usr/local/bin/{name}") for name in ("serve", "work", "healthy")),
        file("www/up", b"up\n"),
    ]


def _image(recipe: Recipe) -> Image:
    """The layer and the settings of one image."""
    port = NO_PORT if recipe.port is None else str(recipe.port)
    layer = [
        file("etc/port", f"{port}\n".encode()),
        file("www/version", f"{recipe.version}\n".encode()),
        file("www/index.html", f"{recipe.name}\n".encode()),
    ]
    if recipe.server is None:
        layer.append(_program("app", "app"))
    else:
        layer.append(link(f"usr/local/bin/{recipe.server}", "serve"))
    if recipe.client is not None:
        layer.append(_program("ping", f"usr/local/bin/{recipe.client}"))
    if recipe.state is not None:
        layer.append(directory(recipe.state))
        layer.append(link("www/server-uuid", f"/{recipe.state}/auto.cnf"))
    return Image(name=recipe.name, command=recipe.command, port=recipe.port, layer=layer)


def _program(name: str, path: str) -> Entry:
    """One of the scripts in `programs/`, at `path` in the image."""
    return file(path, (PROGRAMS / f"{name}.sh").read_bytes(), mode=0o755)
