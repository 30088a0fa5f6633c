"""The container: Compose's words to `ContainerSpec`, and the rules that no schema can say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final

from rota.core.container import ContainerSpec, HealthCheck, Mount, Port
from rota.manifest.problem import Pointer
from rota.manifest.quantity import seconds, size_bytes
from rota.manifest.reader import Reader, Stated

_HERE: Final[Pointer] = ("spec", "container")
_IMAGE: Final = re.compile(
    r"(?:[a-zA-Z0-9.-]+(?::[0-9]{1,5})?/)?"
    r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_TEST_FORMS: Final = ("CMD", "CMD-SHELL", "NONE")


def container_spec(reader: Reader, limits: Stated) -> ContainerSpec:
    """The container of `spec.container`; `limits` are those of `spec.resources`."""
    stated: Mapping[str, Any] = reader.spec["container"]
    logging: Mapping[str, Any] = stated.get("logging", {})
    _check_image(reader, stated["image"])
    return ContainerSpec(
        image=stated["image"],
        command=_words(reader, "command", stated),
        entrypoint=_words(reader, "entrypoint", stated),
        environment=_mapping(reader, "environment", stated),
        labels=_labels(reader, stated),
        user=stated.get("user"),
        working_dir=stated.get("working_dir"),
        hostname=stated.get("hostname"),
        init=stated.get("init"),
        read_only=stated.get("read_only", False),
        tmpfs=_listed(stated.get("tmpfs", ())),
        shm_size=_positive_size(reader, (*_HERE, "shm_size"), stated.get("shm_size")),
        cap_drop=tuple(stated.get("cap_drop", ())),
        ulimits=_ulimits(reader, stated.get("ulimits", {})),
        sysctls=_mapping(reader, "sysctls", stated),
        extra_hosts=_extra_hosts(reader, stated.get("extra_hosts", ())),
        dns=_dns(reader, stated.get("dns", ())),
        logging_driver=logging.get("driver"),
        logging_options=_logging_options(reader, logging),
        healthcheck=_healthcheck(reader, stated.get("healthcheck")),
        ports=_ports(reader, stated.get("ports", ())),
        volumes=_volumes(reader, stated.get("volumes", ())),
        stop_grace_period=seconds(stated.get("stop_grace_period", "10s")),
        stop_signal=stated.get("stop_signal", "SIGTERM"),
        pull_policy=stated.get("pull_policy", "missing"),
        cpu_limit=limits.cpu,
        memory_limit=limits.memory,
    )


def _check_image(reader: Reader, image: str) -> None:
    _, _, digest = image.partition("@")
    if digest and not digest.startswith("sha256:"):
        message = "an image name must not hold credentials"
        reader.report((*_HERE, "image"), message, "Log the hosts in to the registry instead.")
    elif not _IMAGE.fullmatch(image):
        message = "must be an image reference in lower case such as registry.example/shop/web:1.5.0"
        mend = "A digest is @sha256: and 64 hexadecimal digits." if digest else ""
        reader.report((*_HERE, "image"), message, mend)


def _words(reader: Reader, key: str, stated: Mapping[str, Any]) -> tuple[str, ...] | None:
    words = stated.get(key)
    if words is None:
        return None
    return _split(reader, (*_HERE, key), words) if isinstance(words, str) else tuple(words)


def _split(reader: Reader, pointer: Pointer, text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        message = f"cannot be split as a shell would: {str(error).lower()}"
        reader.report(pointer, message, "Write a list.")
        return ()


def _mapping(reader: Reader, key: str, stated: Mapping[str, Any]) -> dict[str, str]:
    """A mapping that may be written as a list of KEY=VALUE."""
    written = stated.get(key, {})
    if isinstance(written, dict):
        return {name: str(value) for name, value in written.items()}
    result: dict[str, str] = {}
    for index, item in enumerate(written):
        name, _, value = item.partition("=")
        if name in result:
            reader.report((*_HERE, key, index), f"{name} is given twice", "Keep one of them.")
        result[name] = value
    return result


def _labels(reader: Reader, stated: Mapping[str, Any]) -> dict[str, str]:
    for step, key in _steps(stated.get("labels", {})):
        reader.check_label_key((*_HERE, "labels", step), key)
    return _mapping(reader, "labels", stated)


def _steps(written: Mapping[str, str] | list[str]) -> list[tuple[str | int, str]]:
    """The keys of a mapping or of a list of KEY=VALUE, each with the step that leads to it."""
    if isinstance(written, Mapping):
        return [(key, key) for key in written]
    return [(index, item.partition("=")[0]) for index, item in enumerate(written)]


def _listed(written: str | list[str] | tuple[()]) -> tuple[str, ...]:
    return (written,) if isinstance(written, str) else tuple(written)


def _positive_size(reader: Reader, pointer: Pointer, stated: int | str | None) -> int | None:
    if stated is None:
        return None
    size = size_bytes(stated)
    if size == 0:
        reader.report(pointer, "must be more than 0")
    return size


def _ulimits(reader: Reader, stated: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    result: dict[str, tuple[int, int]] = {}
    for name, limit in stated.items():
        soft, hard = (limit, limit) if isinstance(limit, int) else (limit["soft"], limit["hard"])
        if hard != -1 and (soft == -1 or soft > hard):
            reader.report((*_HERE, "ulimits", name), "soft must not be above hard")
        result[name] = (soft, hard)
    return result


def _extra_hosts(reader: Reader, stated: Mapping[str, str] | list[str] | tuple[()]) -> tuple[str, ...]:
    """Lines of the form NAME:ADDRESS."""
    if isinstance(stated, Mapping):
        pairs = [(name, name, address) for name, address in stated.items()]
        return tuple(_extra_host(reader, step, name, address) for step, name, address in pairs)
    lines = []
    for index, line in enumerate(stated):
        name, _, address = re.sub("[:=]", "\n", line, count=1).partition("\n")
        lines.append(_extra_host(reader, index, name, address))
    return tuple(lines)


def _extra_host(reader: Reader, step: str | int, name: str, address: str) -> str:
    if address != "host-gateway":
        _check_address(reader, (*_HERE, "extra_hosts", step), address, ", or host-gateway")
    return f"{name}:{address}"


def _dns(reader: Reader, stated: str | list[str] | tuple[()]) -> tuple[str, ...]:
    servers = _listed(stated)
    for index, server in enumerate(servers):
        pointer: Pointer = (*_HERE, "dns") if isinstance(stated, str) else (*_HERE, "dns", index)
        _check_address(reader, pointer, server)
    return servers


def _check_address(reader: Reader, pointer: Pointer, address: str, otherwise: str = "") -> None:
    try:
        ip_address(address)
    except ValueError:
        reader.report(pointer, f"must be an address such as 10.0.0.2{otherwise}")


def _logging_options(reader: Reader, logging: Mapping[str, Any]) -> dict[str, str]:
    options: Mapping[str, str | int] = logging.get("options", {})
    if options and "driver" not in logging:
        mend = "Add driver: json-file, or the one meant."
        reader.report((*_HERE, "logging"), "options need a driver", mend)
    return {name: str(value) for name, value in options.items()}


def _healthcheck(reader: Reader, stated: Mapping[str, Any] | None) -> HealthCheck | None:
    if stated is None:
        return None
    pointer: Pointer = (*_HERE, "healthcheck")
    if ("test" in stated) == stated.get("disable", False):
        reader.report(pointer, "needs either a test or disable: true")
    times: dict[str, float | None] = {}
    for key in ("interval", "timeout", "start_period"):
        times[key] = seconds(stated[key]) if key in stated else None
        if times[key] == 0 and key != "start_period":
            reader.report((*pointer, key), "must be more than 0")
    test = ("NONE",) if stated.get("disable") else _test(reader, (*pointer, "test"), stated.get("test", ""))
    return HealthCheck(test=test, retries=stated.get("retries"), **times)


def _test(reader: Reader, pointer: Pointer, stated: str | list[str]) -> tuple[str, ...]:
    if isinstance(stated, str):
        return ("CMD-SHELL", stated)
    form, words = stated[0], len(stated) - 1
    if form not in _TEST_FORMS:
        reader.report(pointer, "a list must begin with CMD, CMD-SHELL or NONE")
    elif (form == "CMD" and words == 0) or (form == "CMD-SHELL" and words != 1) or (form == "NONE" and words):
        wanted = {"CMD": "at least one word", "CMD-SHELL": "exactly one text", "NONE": "nothing"}[form]
        reader.report(pointer, f"{form} must be followed by {wanted}")
    return tuple(stated)


def _ports(reader: Reader, stated: list[Mapping[str, Any]] | tuple[()]) -> tuple[Port, ...]:
    ports: list[Port] = []
    names: set[str] = set()
    fixed: set[tuple[int, str]] = set()
    for index, item in enumerate(stated):
        port = Port(
            name=item["name"],
            target=item["target"],
            protocol=item.get("protocol", "tcp"),
            published=item.get("published"),
        )
        if port.name in names:
            reader.report((*_HERE, "ports", index, "name"), f"two ports are named {port.name}")
        if port.published is not None and (port.published, port.protocol) in fixed:
            message = f"two ports are published on {port.published}/{port.protocol}"
            reader.report((*_HERE, "ports", index, "published"), message)
        names.add(port.name)
        if port.published is not None:
            fixed.add((port.published, port.protocol))
        ports.append(port)
    return tuple(ports)


def _volumes(reader: Reader, stated: list[Mapping[str, Any]] | tuple[()]) -> tuple[Mount, ...]:
    mounts: list[Mount] = []
    targets: set[str] = set()
    for index, item in enumerate(stated):
        pointer: Pointer = (*_HERE, "volumes", index)
        if item["type"] == "volume" and "source" not in item:
            reader.report(pointer, "a volume needs a source, its name")
        for key, kind in (("source", "volume"), ("tmpfs", "tmpfs")):
            if key in item and item["type"] != kind:
                reader.report((*pointer, key), f"{key} fits type: {kind} only", at_key=True)
        if item["target"] in targets:
            reader.report((*pointer, "target"), "two volumes have the same target")
        targets.add(item["target"])
        size = item.get("tmpfs", {}).get("size")
        mounts.append(
            Mount(
                kind=item["type"],
                target=item["target"],
                source=item.get("source", ""),
                read_only=item.get("read_only", False),
                size=_positive_size(reader, (*pointer, "tmpfs", "size"), size),
            )
        )
    return tuple(mounts)
