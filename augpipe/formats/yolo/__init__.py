"""YOLO as Ultralytics has it: data.yaml and a row an object."""

from augpipe.formats.format import Format, Target

FORMAT = Format(
    name="yolo",
    looks_like="YOLO (data.yaml)",
    reader="augpipe.formats.yolo.index",
    source="a YOLO data.yaml, or its folder",
    kinds=("detect", "segment", "pose", "obb"),
    target=Target(
        writer="augpipe.formats.yolo.write",
        folders=("images", "labels"),
        pictures="images",
        by_split=True,
        holds={
            "boxes": "yes",
            "polygons": "one ring, others are joined",
            "masks": "by their outline",
            "keypoints": "yes",
            "oriented boxes": "yes",
            "classes": "names",
        },
    ),
)
