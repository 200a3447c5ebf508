"""Semantic masks: pictures beside label images of the same stem."""

from augpipe.formats.format import Format, Target

FORMAT = Format(
    name="masks",
    looks_like="images/ with masks/",
    reader="augpipe.formats.masks.read",
    source="folders of pictures and of masks",
    semantic="only",
    numbered=True,
    target=Target(
        writer="augpipe.formats.masks.write",
        folders=("images", "masks"),
        pictures="images",
        by_split=True,
        holds={
            "polygons": "as pixels",
            "masks": "yes, but one a pixel",
            "crowds": "as void",
            "semantic masks": "yes",
            "classes": "names",
        },
    ),
)
