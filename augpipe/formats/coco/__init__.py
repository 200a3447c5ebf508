"""COCO: instances, keypoints, captions and panoptic segments in JSON."""

from augpipe.formats.format import Format, Target

FORMAT = Format(
    name="coco",
    looks_like="COCO (.json)",
    reader="augpipe.formats.coco.index",
    source="a COCO .json, or a folder of them",
    numbered=True,
    unnamed_keypoints=True,
    images=True,
    target=Target(
        writer="augpipe.formats.coco.write",
        folders=("annotations", "images"),
        pictures="images",
        alone=True,
        ids=True,
        holds={
            "boxes": "yes",
            "polygons": "yes",
            "masks": "yes, RLE",
            "crowds": "yes",
            "keypoints": "yes",
            "oriented boxes": "as a field `obb`",
            "panoptic masks": "yes",
            "flags and pose": "as fields",
            "parts": "as a field",
            "classes": "with ids, supercategories, skeletons",
            "ids": "yes",
            "fields of its own": "yes",
        },
    ),
)
