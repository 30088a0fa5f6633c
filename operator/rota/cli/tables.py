"""Plain tables: columns as wide as they must be, a line per row, nothing cut, nothing coloured."""

from __future__ import annotations

from collections.abc import Sequence

from rota.report.text import one_line


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, headers: bool = True) -> str:
    """Left-aligned columns, two spaces apart; `headers` False leaves the first line out."""
    lines = [[one_line(cell) for cell in line] for line in ([header, *rows] if headers else rows)]
    widths = [max((len(line[column]) for line in lines), default=0) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
