"""Schema errors in our own sentences: what is wrong, where, and what to write instead.

No value is shown beyond 200 bytes, and none where a secret may stand: `environment`, images, endpoints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, Protocol

from rota.manifest.problem import Pointer, did_you_mean, joined, shown
from rota.manifest.yaml import Unusual

# Mappings whose keys are the user's own words: there `x-` begins a word like any other.
FREE_MAPPINGS: Final = frozenset(
    ("annotations", "environment", "extra_hosts", "labels", "matchLabels", "options", "replicas", "sysctls")
)
_HIDDEN: Final = frozenset(("endpoint", "environment", "image"))
_TEXT_MAPPINGS: Final = frozenset(("environment", "labels", "options", "sysctls"))

_NOT_READ: Final = {
    "build": "Build the image elsewhere and name it in spec.container.image.",
    "container_name": "Name the Service in metadata.name; Rota names each instance after it.",
    "depends_on": "Name the Services in spec.dependsOn: they are healthy before it starts.",
    "deploy": "Use spec.replicas, spec.resources, spec.placement and spec.update.",
    "env_file": "Write the variables in spec.container.environment: a manifest shows all that runs.",
    "extends": "Write the fields out: a manifest stands for itself.",
    "links": "Publish a port in spec.container.ports and reach it by the address of its host.",
    "profiles": "Use spec.replicas, and a CapacityPolicy for what runs at certain times only.",
    "scale": "Use spec.replicas.",
}
_NEEDS_PERMISSION: Final = frozenset(
    ("cap_add", "devices", "ipc", "network_mode", "pid", "privileged", "security_opt", "userns_mode")
)
# Mappings of cpu and memory alone, and where extended resources stand: "gpu" is no misspelt "cpu".
_ONLY_CPU_AND_MEMORY: Final[Mapping[Pointer, str]] = {
    ("spec", "resources", "limits"): "Only cpu and memory are limited; the rest stands in requests alone.",
    ("spec", "capacity"): "Only cpu and memory stand here; declare the rest in spec.resources.",
    ("spec", "reserved"): "Only cpu and memory can be reserved; declare less in spec.resources.",
}
# What stands in another manifest only, whatever key of this one looks like it.
_ELSEWHERE: Final[Mapping[Pointer, str]] = {
    ("spec", "lost"): "An Override says so, with the Host as its target.",
}
# Where a number may have a fraction.
_FRACTIONS: Final[frozenset[Pointer]] = frozenset((("spec", "cost", "perHour"),))
# What to do where only true may stand.
_INSTEAD_OF_FALSE: Final[Mapping[str | int, str]] = {
    "fill": "Otherwise give a count instead of the mapping.",
    "lost": "To take it back, delete the Override.",
}
_KIND_WORDS: Final = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
}


class SchemaError(Protocol):
    """What is read of an error of `jsonschema`, which ships no types. `validator` is the keyword."""

    absolute_path: Iterable[str | int]
    absolute_schema_path: Iterable[str | int]
    instance: Any
    schema: Any
    validator: Any
    validator_value: Any


class Finding(NamedTuple):
    """A problem without its file: `at_key` points at the key rather than at the value."""

    pointer: Pointer
    message: str
    mend: str = ""
    at_key: bool = False


def is_extension(pointer: Pointer) -> bool:
    """Whether a pointer leads into an `x-` key or into annotations, which nobody reads."""
    return pointer[:2] == ("metadata", "annotations") or any(
        isinstance(step, str) and step.startswith("x-") and not _is_free(pointer[:at])
        for at, step in enumerate(pointer)
    )


def _is_free(pointer: Pointer) -> bool:
    """Whether the keys of the mapping at `pointer` are the user's own words."""
    # The replicas of an Override are one amount, not amounts by name.
    return bool(pointer) and pointer[-1] in FREE_MAPPINGS and pointer != ("spec", "replicas")


def sentences(error: SchemaError) -> Iterator[Finding]:
    """One schema error as one or more findings; two errors may give the same finding."""
    pointer: Pointer = tuple(error.absolute_path)
    schema = error.schema if isinstance(error.schema, dict) else {}
    if "propertyNames" in error.absolute_schema_path:
        yield _bad_key((*pointer, error.instance), error.instance, schema)
        return
    match error.validator:
        case "additionalProperties":
            yield from (_unknown_key(pointer, key, schema) for key in _extra(error.instance, schema))
        case "required":
            missing = [key for key in error.validator_value if key not in error.instance]
            for key in missing:
                yield Finding(pointer, f"{key} is missing", _meant(key, error.instance, schema))
        case "type":
            yield _wrong_type(pointer, error.instance, schema)
        case "enum" | "const":
            yield _not_one_of(pointer, error.instance, schema)
        case _:
            yield _out_of_form(pointer, error.instance, schema, str(error.validator))


def may_be_unusual(number: Unusual) -> bool:
    """Whether a number is where its form does not matter."""
    return number.pointer in _FRACTIONS


def unusual_numbers(numbers: Iterable[Unusual], told: set[Pointer]) -> Iterator[Finding]:
    """Numbers that the schema lets pass but no field takes; but for what lies in `told`.

    To JSON Schema 1.0 is an integer, and 012 is the same as 12.
    """
    for number in numbers:
        around = (number.pointer[:length] for length in range(len(number.pointer) + 1))
        if may_be_unusual(number) or is_extension(number.pointer) or not told.isdisjoint(around):
            continue
        if _TEXT_MAPPINGS.intersection(number.pointer):
            yield Finding(number.pointer, "a number in this form would lose its text", "Quote it.")
        elif isinstance(number.value, float):
            yield Finding(number.pointer, "an integer must be written without a point or an exponent")


def _extra(instance: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    return [key for key in instance if key not in schema["properties"] and not key.startswith("x-")]


def _meant(missing: str, instance: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """A hint where a mapping takes keys of the user's own, so that a misspelt one is not unknown."""
    if not isinstance(schema.get("additionalProperties"), dict):
        return ""
    near = [key for key in instance if key not in schema["properties"] and did_you_mean(key, [missing])]
    return f"Is {shown(near[0])} meant for it?" if near else ""


def _unknown_key(pointer: Pointer, key: str, schema: Mapping[str, Any]) -> Finding:
    place = (*pointer, key)
    if pointer == ("spec", "container") and key in _NOT_READ:
        return Finding(place, f"{key} is refused", _NOT_READ[key], at_key=True)
    if pointer == ("spec", "container") and key in _NEEDS_PERMISSION:
        message = f"{key} is refused: the daemon's settings do not allow it"
        return Finding(place, message, "Leave it out.", at_key=True)
    mend = _ELSEWHERE.get(place) or _ONLY_CPU_AND_MEMORY.get(pointer)
    mend = mend or did_you_mean(key, schema["properties"])
    return Finding(place, f"unknown key {shown(key)}", mend, at_key=True)


def _bad_key(place: Pointer, key: str, schema: Mapping[str, Any]) -> Finding:
    if "enum" in schema:
        return Finding(place, f"unknown key {shown(key)}", did_you_mean(key, schema["enum"]), at_key=True)
    phrase = schema.get("patternErrorMessage", "a key must be shorter")
    own = place[:2] == ("spec", "resources") and key in ("cpu", "memory")
    mend = "State it in spec.capacity." if own else ""
    return Finding(place, f"{phrase}, but is {shown(key)}", mend, at_key=True)


def _wrong_type(pointer: Pointer, instance: object, schema: Mapping[str, Any]) -> Finding:
    accepted = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    phrase = schema.get("errorMessage") or schema.get("patternErrorMessage")
    wanted = phrase or "must be " + " or ".join(_KIND_WORDS[kind] for kind in accepted)
    mend = "Quote it." if "string" in accepted and _would_pass_quoted(instance, schema) else ""
    if pointer == ("spec", "replicas") and isinstance(instance, dict) and "fill" in instance:
        mend = "A CapacityPolicy or an Override may say fill: true."
    if pointer[:2] == ("spec", "check") and pointer[-1] == "port" and isinstance(instance, int):
        wanted, mend = (
            "must be the name of a port",
            "spec.container.ports names it, as {name: http, target: 80}.",
        )
    return Finding(pointer, f"{wanted}, but is {_kind_of(instance)}", mend)


def _would_pass_quoted(instance: object, schema: Mapping[str, Any]) -> bool:
    if not isinstance(instance, bool | int | float):
        return False
    return re.fullmatch(schema.get("pattern", ".*"), str(instance).lower()) is not None


def _kind_of(instance: object) -> str:
    match instance:
        case None:
            return "empty"
        case bool():
            return "true" if instance else "false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "a mapping"


def _not_one_of(pointer: Pointer, instance: object, schema: Mapping[str, Any]) -> Finding:
    if pointer[:3] == ("spec", "container", "volumes") and instance == "bind":
        message = "bind mounts are refused: they open the host's files to the container"
        return Finding(pointer, message, "Use a named volume: {type: volume, source: NAME, target: PATH}.")
    choices = schema.get("enum") or [schema["const"]]
    if not isinstance(choices[0], str):
        mend = _INSTEAD_OF_FALSE.get(pointer[-1], "") if choices[0] is True else ""
        return Finding(pointer, f"must be {shown(choices[0])}{_but_is(pointer, instance)}", mend)
    wanted = joined(choices, "or")
    mend = did_you_mean(instance, choices) if isinstance(instance, str) else ""
    if isinstance(instance, str) and pointer[-2:-1] == ("days",):
        mend = _days_meant(instance, choices)
    return Finding(pointer, f"must be {wanted}{_but_is(pointer, instance)}", mend)


def _out_of_form(pointer: Pointer, instance: Any, schema: Mapping[str, Any], keyword: str) -> Finding:
    phrase = schema.get("patternErrorMessage")
    match keyword:
        case "minimum" | "maximum" if "maximum" in schema:
            wanted = f"must be between {schema['minimum']} and {schema['maximum']}"
        case "minimum":
            wanted = f"must be at least {schema['minimum']}"
        case "maxLength":
            return Finding(pointer, f"must be at most {schema['maxLength']} characters long")
        case "maxItems":
            return Finding(pointer, f"must have at most {schema['maxItems']} items")
        case "pattern" | "minLength" if phrase:
            wanted = phrase
        case _:
            return Finding(pointer, "must not be empty")
    mend = _time_meant(pointer, str(instance)) or _form_meant(pointer, str(instance))
    return Finding(pointer, f"{wanted}{_but_is(pointer, instance)}", mend)


def _days_meant(text: str, days: list[str]) -> str:
    """What to write instead of the full name of a day, or of a range of days."""
    ends = [part.strip()[:3].lower() for part in text.split("-")]
    if len(ends) > 2 or not set(ends) <= set(days):
        return did_you_mean(text.lower(), days)
    if len(ends) == 1:
        return f"Did you mean {shown(ends[0])}?"
    first, last = days.index(ends[0]), days.index(ends[1])
    meant = [days[day % len(days)] for day in range(first, last + 1 + len(days) * (last < first))]
    return f"List them: {', '.join(meant)}."


def _form_meant(pointer: Pointer, text: str) -> str:
    """Why something that looks right is not taken."""
    if re.fullmatch("-[0-9]+%", text):
        return "A percentage is a share of the Service's own replicas, and not a change to them."
    if pointer[-1:] == ("ics",) and text.lower().endswith(".ics"):
        return "Its path has ASCII letters, and ends in small ones." if text.isprintable() else ""
    return ""


def _time_meant(pointer: Pointer, text: str) -> str:
    """What to write instead of a time that is almost one."""
    if re.fullmatch("[0-9]:[0-5][0-9]", text):
        return f'Write "0{text}".'
    if pointer[-1:] == ("start",) and text == "24:00":
        return 'The midnight that begins the next day is "00:00".'
    if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}", text):
        return "Add the offset from UTC, such as +01:00, or Z."
    if pointer in (("spec", "until"), ("spec", "from")) and re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return f'Give a time and an offset too: "{text}T00:00:00+01:00".'
    return ""


def _but_is(pointer: Pointer, instance: object) -> str:
    """The end of a sentence that shows a value, unless it may be a secret or is no scalar."""
    hidden = _HIDDEN.intersection(pointer) or isinstance(instance, list | dict)
    return "" if hidden else f", but is {shown(instance)}"
