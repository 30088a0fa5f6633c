"""`rota schema`: the JSON Schemas that editors and CI use, as this version judges."""

from __future__ import annotations

import click

from rota.manifest.schema import schema_directory


@click.command()
@click.argument("kind", required=False)
def schema(kind: str | None) -> None:
    """Print the schema of KIND (Fleet, Host, Service, …; default: the one that picks by kind)."""
    files = {file.stem: file for file in schema_directory().glob("*.json")}
    name = (kind or "manifest").lower()
    if name not in files:
        raise click.UsageError(f"there is no schema {kind!r}; there are {', '.join(sorted(files))}.")
    click.echo(files[name].read_text(encoding="utf-8"), nl=False)
