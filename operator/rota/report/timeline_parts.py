"""The parts of the picture of a forecast: shapes with their places as text, and how much room words take."""

from __future__ import annotations

from dataclasses import dataclass, field

from rota.report.text import one_line

WIDTH = 960.0
"""Of the whole picture."""
CHARACTER = 6.9
"""No character of the usual fonts is wider on average, at 12 px; labels that could touch are left out."""


@dataclass(frozen=True, slots=True)
class Box:
    x: str
    y: str
    width: str
    height: str

    @classmethod
    def of(cls, x: float, y: float, width: float, height: float) -> Box:
        return cls(unit(x), unit(y), unit(width), unit(height))


@dataclass(frozen=True, slots=True)
class Label:
    x: str
    y: str
    text: str

    @classmethod
    def of(cls, x: float, y: float, text: str) -> Label:
        return cls(unit(x), unit(y), one_line(text))


@dataclass(frozen=True, slots=True)
class Band:
    """A window that is in force, as a span above the plot."""

    box: Box
    label: Label | None


@dataclass(frozen=True, slots=True)
class Tick:
    """A time under the plot; `foot` is how far its line reaches, empty where it has none."""

    x: str
    y: str
    foot: str
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """An `edge`, or the beginning of a `lead`."""

    kind: str
    x: str
    head: str
    foot: str
    label: Label | None


@dataclass(frozen=True, slots=True)
class Area:
    """What one workload has over time, on top of those below it."""

    colour: int
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the legend."""

    fill: str
    box: Box
    label: Label


@dataclass(frozen=True, slots=True)
class Step:
    """What is drawn from `x` to the next step: the instant of that number."""

    x: float
    number: int


@dataclass(frozen=True, slots=True)
class Layer:
    """One colour: its name, and how much it has at each instant, as a share of the fleet."""

    colour: int
    name: str
    shares: tuple[float, ...]


@dataclass(slots=True)
class Row:
    """Labels on one line: one that would touch another is left out."""

    taken: list[tuple[float, float]] = field(default_factory=list)

    def fits(self, x: float, text: str) -> bool:
        half = (len(text) * CHARACTER) / 2 + 3
        free = half <= x <= WIDTH - half and all(
            x + half < left or x - half > right for left, right in self.taken
        )
        if free:
            self.taken.append((x - half, x + half))
        return free


def unit(length: float) -> str:
    """One decimal where there is one."""
    return f"{length:.1f}".removesuffix(".0")


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def wrapped(text: str, most: int) -> list[str]:
    """Lines of at most so many characters, broken between words."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > most:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
