"""All hostile inputs, in the order of the table, whatever was imported first."""

from __future__ import annotations

import hostile
import hostile_archives
import hostile_labels
import hostile_others
import hostile_pictures
from hostile import Case

__all__ = ["CASES", "Case"]

MODULES = (hostile_labels, hostile_pictures, hostile_others, hostile_archives)
ORDER = ("Pascal VOC", "COCO", "Masks", "Pictures", "Tars", "Tars of datasets", "Zips of datasets", "Recipes",
         "Finished folders")  # fmt: skip
CASES: tuple[Case, ...] = tuple(sorted(hostile.CASES, key=lambda case: ORDER.index(case.group)))
