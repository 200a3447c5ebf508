"""DOTA: oriented boxes of aerial pictures, a text file a picture."""

from augpipe.formats.format import Format, Target

FORMAT = Format(
    name="dota",
    looks_like="DOTA (labelTxt/)",
    reader="augpipe.formats.dota.read",
    source="a DOTA folder",
    target=Target(
        writer="augpipe.formats.dota.write",
        folders=("images", "labelTxt"),
        pictures="images",
        by_split=True,
        holds={
            "boxes": "as oriented ones",
            "oriented boxes": "yes",
            "flags and pose": "`difficult`",
            "classes": "names of those that occur, one word",
            "fields of its own": "`imagesource`, `gsd`",
        },
    ),
)
