"""Values as the JSON of our records and of COCO has them; apart from the records, which need far more than that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from augpipe.core.annotations import Category, Rle


def known(value: Any) -> Any:
    """JSON-ready values without nulls: a null means "not known", which a record says by leaving it out."""
    if isinstance(value, Mapping):
        return {str(k): known(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [known(v) for v in value if v is not None]
    return value


def category_json(category: Category) -> dict[str, Any]:
    """One category as the manifest lists it."""
    out: dict[str, Any] = {"id": category.id, "label": category.label, "name": category.name}
    if category.supercategory is not None:
        out["supercategory"] = category.supercategory
    for name in ("keypoints", "skeleton", "flip_pairs"):
        if values := getattr(category, name):
            out[name] = [list(v) if isinstance(v, tuple) else v for v in values]
    if category.isthing is not None:
        out["isthing"] = category.isthing
    return out


def rle_json(mask: Rle) -> dict[str, Any]:
    """A compressed RLE as COCO has it."""
    return {"size": list(mask.size_hw), "counts": mask.counts.decode("ascii")}
