"""A plot with two logarithmic axes as plain SVG text: the same numbers, the same bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 40, 50, 60
STYLE = """
  text { font: 13px sans-serif; fill: #24292f }
  .title { font-weight: bold }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .line { fill: none; stroke-width: 1.5; stroke-dasharray: 5 4 }
  .s0 { stroke: #0969da } .p0 { fill: #0969da }
  .s1 { stroke: #bc4c00 } .p1 { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .grid { stroke: #3d444d }
    .s0 { stroke: #4493f8 } .p0 { fill: #4493f8 }
    .s1 { stroke: #f0883e } .p1 { fill: #f0883e }
  }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points, and the line log10 y = slope · log10 x + offset through them."""

    name: str
    points: tuple[tuple[float, float], ...]
    slope: float
    offset: float


@dataclass(frozen=True, slots=True)
class _Axes:
    """Whole decades, as exponents of ten."""

    left: int
    right: int
    bottom: int
    top: int

    @classmethod
    def around(cls, points: Sequence[tuple[float, float]]) -> _Axes:
        x = [math.log10(one) for one, _ in points]
        y = [math.log10(one) for _, one in points]
        return cls(math.floor(min(x)), math.ceil(max(x)), math.floor(min(y)), math.ceil(max(y)))

    def x(self, value: float) -> float:
        share = (math.log10(value) - self.left) / max(self.right - self.left, 1)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (math.log10(value) - self.bottom) / max(self.top - self.bottom, 1)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def drawn(title: str, across: str, upwards: str, series: Sequence[Series]) -> str:
    """The whole document."""
    axes = _Axes.around([point for one in series for point in one.points])
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{title}</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="{LEFT}" y="24">{title}</text>',
        *_grid(axes, across, upwards),
    ]
    for number, one in enumerate(series):
        lines += _series(number, one, axes)
    return "\n".join([*lines, "</svg>", ""])


def _grid(axes: _Axes, across: str, upwards: str) -> Iterator[str]:
    low, high = HEIGHT - BOTTOM, TOP
    for exponent in range(axes.left, axes.right + 1):
        x = axes.x(10.0**exponent)
        yield f'<line class="grid" x1="{x:.1f}" y1="{low}" x2="{x:.1f}" y2="{high}"/>'
        yield f'<text x="{x:.1f}" y="{low + 20}" text-anchor="middle">{_number(exponent)}</text>'
    for exponent in range(axes.bottom, axes.top + 1):
        y = axes.y(10.0**exponent)
        yield f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_number(exponent)}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle:.1f}" y="{HEIGHT - 16}" text-anchor="middle">{across}</text>'
    yield f'<text x="{LEFT - 8}" y="{TOP - 8}" text-anchor="end">{upwards}</text>'


def _series(number: int, one: Series, axes: _Axes) -> Iterator[str]:
    first, last = one.points[0][0], one.points[-1][0]
    ends = [(x, 10.0 ** (one.slope * math.log10(x) + one.offset)) for x in (first, last)]
    path = " L".join(f"{axes.x(x):.1f} {axes.y(y):.1f}" for x, y in ends)
    yield f'<path class="line s{number}" d="M{path}"/>'
    for x, y in one.points:
        yield f'<circle class="p{number}" cx="{axes.x(x):.1f}" cy="{axes.y(y):.1f}" r="4"/>'
    height = TOP + 20 + 20 * number
    yield f'<circle class="p{number}" cx="{LEFT + 16}" cy="{height - 4}" r="4"/>'
    yield f'<text x="{LEFT + 28}" y="{height}">{one.name}, slope {one.slope:.2f}</text>'


def _number(exponent: int) -> str:
    return f"{10**exponent:,}" if exponent >= 0 else f"{10.0**exponent:.{-exponent}f}"
