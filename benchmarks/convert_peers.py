"""The scripts that a user of each other library writes for a conversion, as `convert.py` runs them."""

from __future__ import annotations

# What a user of each library writes: read, write. {src} and {dst} are filled in.
CODE = {
    ("globox", "voc-to-coco"): """
from pathlib import Path
from globox import AnnotationSet
AnnotationSet.from_pascal_voc(folder=Path({src!r}) / "Annotations").save_coco(Path({dst!r}) / "out.json", auto_ids=True)
""",
    ("datumaro", "voc-to-coco"): """
import datumaro as dm
dm.Dataset.import_from({src!r}, "voc").export({dst!r}, "coco_instances", save_media=False)
""",
    ("supervision", "voc-to-coco"): """
import supervision as sv
sv.DetectionDataset.from_pascal_voc(
    images_directory_path={src!r} + "/JPEGImages", annotations_directory_path={src!r} + "/Annotations"
).as_coco(annotations_path={dst!r} + "/out.json")
""",
    ("globox", "coco-to-yolo"): """
from pathlib import Path
from globox import AnnotationSet
found = AnnotationSet.from_coco(Path({src!r}) / "annotations" / "instances_train.json")
ids = {{label: i for i, label in enumerate({classes!r})}}
found.save_yolo_v5(Path({dst!r}), label_to_id=ids)
""",
    ("datumaro", "coco-to-yolo"): """
import datumaro as dm
dm.Dataset.import_from({src!r}, "coco_instances").export({dst!r}, "yolo", save_media=False)
""",
    ("supervision", "coco-to-yolo"): """
import supervision as sv
sv.DetectionDataset.from_coco(
    images_directory_path={src!r} + "/images", annotations_path={src!r} + "/annotations/instances_train.json"
).as_yolo(annotations_directory_path={dst!r} + "/labels")
""",
}
