"""labelme: a JSON a picture, with the shapes that were drawn on it."""

from augpipe.formats.format import Format, Target

FORMAT = Format(
    name="labelme",
    looks_like="labelme (a .json a picture)",
    reader="augpipe.formats.labelme.index",
    source="a folder of labelme JSONs",
    images=True,
    target=Target(
        writer="augpipe.formats.labelme.write",
        folders=("images",),
        pictures="images",
        by_split=True,
        holds={
            "boxes": "yes",
            "polygons": "yes",
            "masks": "yes",
            "keypoints": "as points",
            "oriented boxes": "as polygons",
            "flags and pose": "`difficult`",
            "classes": "names of those that occur",
            "fields of its own": "yes",
        },
    ),
)
