"""The formats that are written: a table of them, beside that of the readers."""

from __future__ import annotations

from collections.abc import Mapping

from augpipe.catalogue import WRITABLE
from augpipe.formats import coco_write, dota_write, voc_write, yolo_write
from augpipe.formats.target import Target

WRITERS: Mapping[str, Target] = {
    name: Target(WRITABLE[name], start)
    for name, start in (
        ("coco", coco_write.open_writer),
        ("voc", voc_write.open_writer),
        ("yolo", yolo_write.open_writer),
        ("dota", dota_write.open_writer),
    )
}
