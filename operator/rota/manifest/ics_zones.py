"""The time zones that icalendar works with: those of the package, where it would take the machine's."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from icalendar.timezone.zoneinfo import ZONEINFO

from rota.manifest.zones import zone, zones


class PackageZones(ZONEINFO):
    """A provider that reads nothing of the machine."""

    @property
    def utc(self) -> ZoneInfo:
        return zone("UTC")

    def timezone(self, name: str) -> ZoneInfo | None:
        return zone(name) if name in zones() else None

    def knows_timezone_id(self, tzid: str) -> bool:
        return tzid in zones()
