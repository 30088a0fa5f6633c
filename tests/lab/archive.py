"""Write images in the format of `docker save`, byte for byte the same each time.

Made here and not by an engine, the images need no running engine, have the same id on every host,
and share one base layer.
"""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

Entry = tuple[tarfile.TarInfo, bytes]

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CREATED = "2026-01-01T00:00:00Z"
SEARCH_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image: `layer` lies on the base layer; `port` is the TCP port it exposes."""

    name: str
    command: tuple[str, ...]
    port: int | None
    layer: Sequence[Entry]


def directory(path: str, mode: int = 0o755) -> Entry:
    """An empty directory of a layer."""
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    return entry, b""


def file(path: str, content: bytes, mode: int = 0o644) -> Entry:
    """A file of a layer."""
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), mode
    return entry, content


def link(path: str, target: str) -> Entry:
    """A symbolic link of a layer."""
    entry = tarfile.TarInfo(path)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    return entry, b""


def write_archive(path: Path, base: Iterable[Entry], images: Iterable[Image]) -> None:
    """Write all `images`, each as its own layer on `base`, to one file that `docker load` reads."""
    base_layer = _tar(base)
    entries = [file("base/layer.tar", base_layer)]
    manifest = []
    for image in images:
        layer = _tar(image.layer)
        folder = hashlib.sha256(layer).hexdigest()
        config = _config(image, [base_layer, layer])
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        layers = ["base/layer.tar", f"{folder}/layer.tar"]
        entries += [file(layers[1], layer), file(config_name, config)]
        manifest.append({"Config": config_name, "RepoTags": [image.name], "Layers": layers})
    entries.append(file("manifest.json", json.dumps(manifest).encode()))
    path.write_bytes(_tar(entries))


def _config(image: Image, layers: Sequence[bytes]) -> bytes:
    """The settings of an image, as the Engine keeps them."""
    settings: dict[str, object] = {"Cmd": list(image.command), "Env": [SEARCH_PATH], "WorkingDir": "/"}
    if image.port is not None:
        settings["ExposedPorts"] = {f"{image.port}/tcp": {}}
    config = {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": CREATED,
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer) for layer in layers]},
        "history": [{"created": CREATED, "created_by": "rota lab"} for _ in layers],
    }
    return json.dumps(config, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _tar(entries: Iterable[Entry]) -> bytes:
    """A tar file; its entries keep TarInfo's fixed time (1970) and owner (root)."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry, content in entries:
            archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()
