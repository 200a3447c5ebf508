"""CSV: a table with a row a box, in the columns of many tools; Open Images is one of them."""

from augpipe.formats.format import Format, Target

FORMAT = Format(
    name="csv",
    looks_like="CSV (a .csv of boxes, Open Images)",
    reader="augpipe.formats.csv.index",
    source="a .csv of boxes, or a folder of them, as Open Images",
    fallback=1,  # tables lie beside many a dataset and say the same
    images=True,
    target=Target(
        writer="augpipe.formats.csv.write",
        folders=("images",),
        pictures="images",
        by_split=True,
        holds={
            "boxes": "yes",
            "crowds": "as a flag",
            "flags and pose": "flags",
            "classes": "names of those that occur",
        },
    ),
)
