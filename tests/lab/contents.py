"""What is on a host: put the lab's images there, and take away everything tests made."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.lab import images
from tests.lab.engine import call
from tests.lab.layout import LabHost
from tests.lab.shell import LabError
from tests.lab.waiting import wait_for

LOAD_SECONDS = 60.0
REMOVE_SECONDS = 30.0
AT_ONCE = 8
BUILT_IN_NETWORKS = {"bridge", "host", "none"}
GONE_OR_GOING = {200, 204, 404, 409}


def load_images(host: LabHost, archive: Path) -> None:
    """Give the host every image of the lab that it lacks."""
    if not missing_images(host):
        return
    with archive.open("rb") as content:
        status, answer = call(host.socket, "POST", "/images/load?quiet=1", content, seconds=LOAD_SECONDS)
    missing = missing_images(host)
    if missing:
        raise LabError(f"{host.name} has no {missing[0]} after loading {archive}: code {status}, {answer}")


def missing_images(host: LabHost) -> list[str]:
    """The images of the lab that this host does not have."""
    present = {tag for image in listed(host, "/images/json") for tag in image["RepoTags"] or ()}
    return [name for name in images.NAMES if name not in present]


def containers(host: LabHost, *, running_only: bool = False) -> list[dict[str, Any]]:
    """The Engine's own list of the host's containers, also those that do not run unless `running_only`."""
    return list(listed(host, f"/containers/json?all={int(not running_only)}"))


def clear(host: LabHost) -> None:
    """Remove every container, volume and network of the host; its images stay."""
    wait_for(
        lambda: not _remove(host, [f"/containers/{one['Id']}?force=1&v=1" for one in containers(host)]),
        REMOVE_SECONDS,
        f"every container of {host.name} to be removed",
    )
    volumes = _volumes(host)
    _remove(host, [f"/volumes/{quote(volume, safe='')}?force=1" for volume in volumes])
    _remove(host, [f"/networks/{network}" for network in _networks(host)])
    left = (*_volumes(host), *_networks(host))
    if left:
        raise LabError(f"{host.name} still has {', '.join(left)} after everything was removed: see its log")


def _remove(host: LabHost, paths: list[str]) -> list[str]:
    """Remove each path, several at once; gives the paths back so that the caller looks again."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(lambda path: _remove_one(host, path), paths))
    return paths


def _remove_one(host: LabHost, path: str) -> None:
    status, answer = call(host.socket, "DELETE", path, seconds=REMOVE_SECONDS)
    if status not in GONE_OR_GOING:
        raise LabError(f"DELETE {path} on {host.name} was refused with code {status}: {answer}")


def _volumes(host: LabHost) -> list[str]:
    return [volume["Name"] for volume in listed(host, "/volumes", "Volumes")]


def _networks(host: LabHost) -> list[str]:
    return [
        network["Id"] for network in listed(host, "/networks") if network["Name"] not in BUILT_IN_NETWORKS
    ]


def listed(host: LabHost, path: str, key: str | None = None) -> Iterable[dict[str, Any]]:
    """A list of the Engine, which some of its answers keep under a key; it writes an empty one as null."""
    status, answer = call(host.socket, "GET", path)
    if status != 200:
        raise LabError(f"GET {path} on {host.name} was refused with code {status}: {answer}")
    return (answer if key is None else answer[key]) or []
