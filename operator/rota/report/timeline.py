"""A forecast as a picture: who has how much of the fleet over the day, with its windows, edges and leads.

SVG without script, light or dark as the reader prefers. The same forecast is the same bytes: one decimal
for every length, no ids, no line for now.
"""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from rota.core.forecast.instant import Forecast
from rota.report.forecast_words import summary
from rota.report.text import one_line
from rota.report.timeline_shapes import DARK, LIGHT, shapes


def timeline(forecast: Forecast) -> str:
    """The whole file."""
    title = f"Rota forecast {one_line(summary(forecast))}"
    drawn = _environment().get_template("timeline.svg.j2")
    return drawn.render(title=title, light=LIGHT, dark=DARK, **shapes(forecast)).rstrip("\n") + "\n"


@cache
def _environment() -> Environment:
    """Whatever is written into the picture is escaped."""
    return Environment(
        loader=PackageLoader("rota.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=False,
    )
