"""How workloads are named."""

from __future__ import annotations

from typing import NamedTuple


class WorkloadId(NamedTuple):
    """The identity of a workload: unique over all workload kinds of a namespace."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> WorkloadId:
        """Read `namespace/name`, the form that labels and the status branch carry."""
        namespace, _, name = text.partition("/")
        return cls(namespace, name)
