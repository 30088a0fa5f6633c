"""What Services depend on: who must exist, and circles of which none could be started first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rota.core.model import Service
from rota.manifest.circles import circles, drawn
from rota.manifest.document import Manifest
from rota.manifest.problem import Pointer, Problem


def dependency_places(manifest: Manifest) -> Iterator[tuple[Pointer, str]]:
    """The name of each Service that a Service's document depends on, and where it stands."""
    for index, item in enumerate(manifest.document.raw["spec"].get("dependsOn", ())):
        yield ("spec", "dependsOn", index, "service"), item["service"]


def circular_dependencies(services: Sequence[tuple[Manifest, Service]]) -> Iterator[Problem]:
    """One problem for every knot, at the entry that closes a circle."""
    manifests = {service.id: manifest for manifest, service in services}
    wanted = {
        service.id: [workload for workload in service.depends_on if workload in manifests]
        for _, service in services
    }
    for circle in circles(wanted):
        manifest = manifests[circle[-1]]
        pointer = next(place for place, name in dependency_places(manifest) if name == circle[0].name)
        message = f"dependencies form a circle, of which none could be started first: {drawn(circle)}"
        yield manifest.problem(pointer, message, "Remove one of them.")
