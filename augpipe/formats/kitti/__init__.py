"""KITTI: a text file a picture, boxes of street scenes with what is known of them in space."""

from augpipe.formats.format import Format, Target

FORMAT = Format(
    name="kitti",
    looks_like="KITTI (label_2/)",
    reader="augpipe.formats.kitti.read",
    source="a KITTI folder (image_2/ beside label_2/)",
    images=True,
    target=Target(
        writer="augpipe.formats.kitti.write",
        folders=("image_2", "label_2"),
        pictures="image_2",
        by_split=True,
        holds={
            "boxes": "yes",
            "crowds": "as `DontCare`",
            "flags and pose": "`truncated`, `occluded`",
            "classes": "names of those that occur, one word",
            "fields of its own": "KITTI's, as `alpha`",
        },
    ),
)
