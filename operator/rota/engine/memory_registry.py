"""Registries in memory: names that stand for digests, which can move."""

from __future__ import annotations

import hashlib
from collections import Counter

from rota.engine.port import EngineError, Trouble


def repository(image: str) -> str:
    """An image's name without tag and digest."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


class MemoryRegistry:
    """The registry of one engine, or of several: every name is in it unless it is `missing`."""

    def __init__(self) -> None:
        self.missing: set[str] = set()
        self.trouble = ""
        """What it says to whoever asks; empty while it works."""
        self._moved: Counter[str] = Counter()
        self._names: dict[str, str] = {}

    def reference(self, image: str) -> str:
        """What `image` is now: `repository@sha256:…`, where it answers and has it."""
        if self.trouble:
            raise EngineError(Trouble.REJECTED, self.trouble)
        if image in self.missing or self.name_of(image) in self.missing:
            raise EngineError(Trouble.REJECTED, "no such image in its registry")
        return self.digest(image)

    def digest(self, image: str) -> str:
        """The same name has the same digest in every registry, until it is moved."""
        if "@" in image:
            return image
        digest = hashlib.sha256(f"{image}#{self._moved[image]}".encode()).hexdigest()
        reference = f"{repository(image)}@sha256:{digest}"
        self._names[reference] = image
        return reference

    def move(self, image: str) -> None:
        """Somebody pushes: the name stands for another image."""
        self._moved[image] += 1

    def name_of(self, image: str) -> str:
        """The name under which a reference was asked for; what is none, or was not, is its own."""
        return self._names.get(image, image)
