"""Datasets of other tools, which are not read: what each is known by, and how it becomes one that is.

To add one, add a row. The first row that fits is taken, so what is more special stands further up.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from augpipe.formats.base import is_picture
from augpipe.storage.fs import names_of, start_of
from augpipe.storage.tree import AnyPath

_MOST_FILES, _MOST_PICTURES, _SNIFFED_FILES = 5_000, 100, 5
_SNIFFED_BYTES = 1 << 16


@dataclass(frozen=True)
class Signature:
    """A kind of dataset.

    Attributes:
        name: what it is called.
        file: pattern of the path of one of its files below the source, in lower case.
        holds: what the first 64 KiB of that file hold, all of it, in any order; nothing where the name says enough.
        way_out: what a user does to have it read, as the end of a sentence.
    """

    name: str
    file: str
    way_out: str
    holds: tuple[bytes, ...] = ()


def _datumaro(name: str) -> str:
    return f"convert it by Datumaro: datum convert -if {name} -i SRC -f coco -o OUT -- --save-media"


_CSV = "save its boxes as a CSV with the header image,x,y,w,h,label, which is read"
_JSON = r".*\.json"
_SUPERVISELY = "in Supervisely export it by the app 'Export to COCO' or 'Export to Pascal VOC'"
_LABEL_STUDIO = "in Label Studio export it as COCO, YOLO or Pascal VOC"
_DARWIN = "convert it by darwin-py: darwin convert coco ANNOTATIONS OUT"

SIGNATURES = (
    Signature("Supervisely", r"(.*/)?ann/.*\.json", _SUPERVISELY, (b'"classTitle"',)),
    Signature("Supervisely", r"(.*/)?meta\.json", _SUPERVISELY, (b'"classes"', b'"shape"', b'"title"')),
    Signature("Label Studio", _JSON, _LABEL_STUDIO, (b'"result"', b'"from_name"', b'"to_name"')),
    Signature("Label Studio (JSON-MIN)", _JSON, _LABEL_STUDIO, (b'"annotation_id"', b'"original_width"')),
    Signature(
        "Dataloop", _JSON, "convert it to COCO, YOLO or VOC by dtlpy-converters",
        (b'"annotations"', b'"coordinates"', b'"datasetId"'),
    ),
    Signature(
        "CreateML", _JSON,
        "in Roboflow export it as COCO or YOLO, or save it as a CSV with the header image,cx,cy,w,h,label, as its x "
        "and y are centres",
        (b'"image"', b'"annotations"', b'"coordinates"', b'"label"'),
    ),
    Signature(
        "CrowdHuman (.odgt)", r".*\.odgt",
        "convert it by MMDetection: python tools/dataset_converters/crowdhuman2coco.py -i SRC -o SRC/annotations",
    ),
    Signature(
        "BDD100K", _JSON, "convert it by its toolkit: python -m bdd100k.label.to_coco -m det -i SRC -o OUT.json",
        (b'"labels"', b'"box2d"', b'"category"'),
    ),
    Signature("Cityscapes", r".*_gt(fine|coarse)_(polygons\.json|.*\.png)", _datumaro("cityscapes")),
    Signature("MOT (gt/gt.txt)", r"(.*/)?(gt/gt\.txt|seqinfo\.ini)", _datumaro("mot_seq")),
    Signature("TFRecord", r".*\.(tf)?records?(-\d+-of-\d+)?(\.gz)?", _datumaro("tf_detection_api")),
    Signature("WIDER FACE", r"(.*/)?wider_face_.*_bbx_gt\.txt", _datumaro("wider_face")),
    Signature("Datumaro", _JSON, _datumaro("datumaro"), (b'"dm_format_version"',)),
    Signature("Datumaro", _JSON, _datumaro("datumaro"), (b'"items"', b'"categories"', b'"label"')),
    Signature("Darwin (V7)", _JSON, _DARWIN, (b'"annotations"', b'"item"', b'"slots"')),
    Signature("Darwin (V7)", _JSON, _DARWIN, (b'"annotations"', b'"image"', b'"bounding_box"')),
    Signature(
        "FiftyOne", r"(.*/)?samples\.json",
        "convert it by FiftyOne: fiftyone convert --input-dir SRC --input-type fiftyone.types.FiftyOneDataset "
        "--output-dir OUT --output-type fiftyone.types.COCODetectionDataset",
        (b'"samples"',),
    ),
    Signature("Label Studio (CSV)", r".*\.csv", _LABEL_STUDIO, (b"annotation_id", b"annotator")),
    Signature(
        "multi-label classification of Roboflow", r"(.*/)?_classes\.csv",
        "tags of pictures are read as a folder a class, so in Roboflow export it as single-label 'Folder Structure'",
        (b"filename",),
    ),
    Signature(
        "YOLO of Keras and Darknet in one file", r"(.*/)?_annotations\.txt",
        "in Roboflow export it as YOLO (a .txt a picture) or COCO",
    ),
    Signature("Scale", _JSON, _CSV, (b'"task_id"', b'"response"', b'"annotations"')),
    Signature("SageMaker Ground Truth", r".*\.(manifest|jsonl?)", _CSV, (b'"source-ref"',)),
    Signature("Labelbox", r".*\.(ndjson|jsonl?)", _CSV, (b'"data_row"', b'"projects"')),
    Signature("VIA 3", _JSON, _CSV, (b'"vid_list"', b'"metadata"')),
    Signature("VoTT", r".*(\.vott|-asset\.json)", "in VoTT export it as CSV or Pascal VOC"),
    Signature("VoTT", _JSON, "in VoTT export it as CSV or Pascal VOC", (b'"assets"', b'"visitedAssets"')),
    Signature(
        "a backup of CVAT", r"(.*/)?(task|project)\.json", "in CVAT export the dataset as CVAT for images 1.1 or COCO",
        (b'"version"', b'"labels"'),
    ),
    Signature(
        "a JSONL of Roboflow", r".*\.jsonl", "in Roboflow export it as COCO or YOLO",
        (b'"image"', b'"prefix"', b'"suffix"'),
    ),
    Signature(
        "results of COCO", _JSON,
        "they have no pictures and classes: put them under 'annotations' in the JSON that they are of",
        (b'"image_id"', b'"category_id"', b'"score"'),
    ),
    Signature(
        "Parquet or Arrow of Hugging Face", r".*\.(parquet|arrow)",
        "load it in Python by datasets.load_dataset, save row['image'] as files, and its boxes as a CSV with the "
        "header image,x,y,w,h,label",
    ),
    Signature(
        "validation pictures of ImageNet", r"(.*/)?ilsvrc2012_val_\d{8}\.jpe?g",
        "move them into a folder a class, as valprep.sh of soumith/imagenetloader.torch does, and name the one above",
    ),
    Signature(
        "MATLAB (.mat)", r".*\.mat",
        "load it in Python by scipy.io.loadmat, and save its boxes as a CSV with the header image,x,y,w,h,label",
    ),
)  # fmt: skip
"""The kinds of datasets that are named."""


def signature_of(src: AnyPath) -> Signature | None:
    """The kind of dataset that a source looks like, ``None`` if it is like none that is named."""
    if src.is_file():
        names = [src.name]
        folder = src.parent
    elif src.is_dir():
        names, folder = list(_files(src)), src
    else:
        return None
    heads: dict[str, bytes] = {}

    def fits(signature: Signature) -> bool:
        named = [name for name in names if re.fullmatch(signature.file, name.lower())]
        if not signature.holds:
            return bool(named)
        for name in named[:_SNIFFED_FILES]:
            if name not in heads:
                heads[name] = start_of(folder / name, _SNIFFED_BYTES)
            if all(text in heads[name] for text in signature.holds):
                return True
        return False

    return next(filter(fits, SIGNATURES), None)


def _files(folder: AnyPath) -> Iterator[str]:
    """Paths below a folder, level by level: the first ones that are no pictures, and a few that are."""
    level, pictures, files = [""], 0, 0
    while level and files < _MOST_FILES:
        deeper: list[str] = []
        for prefix in level:
            place = folder / prefix if prefix else folder
            if not place.is_dir():
                continue
            for name in itertools.islice(_names(place), _MOST_FILES * 20):
                path = f"{prefix}/{name}" if prefix else name
                if is_picture(name):
                    pictures += 1
                    if pictures <= _MOST_PICTURES:
                        yield path
                    continue
                files += 1
                if files > _MOST_FILES:
                    return
                yield path
                if not os.path.islink(str(place / name)):
                    deeper.append(path)
        level = deeper


def _names(folder: AnyPath) -> list[str]:
    try:
        return [name for name in names_of(folder) if not name.startswith(".")]
    except OSError:
        return []
