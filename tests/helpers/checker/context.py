"""What the rules of a sample need from the configuration, read so that a broken one does not stop the checker."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from checker.values import as_dict, as_list, is_int


@dataclass(frozen=True)
class Context:
    """The parts of `config` that decide what a sample may hold."""

    categories: dict[int, dict[str, Any]] = field(default_factory=dict)
    void: int = 255
    picture: dict[str, Any] = field(default_factory=dict)
    copies: int | None = None
    originals: bool = False
    objects: int | None = None
    sources: Mapping[str, bytes] | None = None

    @classmethod
    def of(cls, config: Any, manifest: Any, sources: Mapping[str, bytes] | None) -> "Context":
        """Return the context of a folder, with the page's defaults for what cannot be read."""
        config = as_dict(config)
        rows = [as_dict(row) for row in as_list(config.get("categories"))]
        # Either: `manifest.void.semantic` is `config.void.semantic` of the manifest, or a `void` beside `config`.
        void = as_dict(config.get("void")) or as_dict(as_dict(manifest).get("void"))
        copies = config.get("copies")
        objects = as_dict(as_dict(manifest).get("totals")).get("objects")
        return cls(
            categories={row["id"]: row for row in rows if is_int(row.get("id"))},
            void=void["semantic"] if is_int(void.get("semantic")) else 255,
            picture=as_dict(config.get("picture")),
            copies=copies if is_int(copies) else None,
            originals=config.get("originals") in (True, 1),
            objects=objects if is_int(objects) else None,
            sources=sources,
        )
