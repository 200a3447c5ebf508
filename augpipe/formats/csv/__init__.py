"""CSV: a table with a row a box, in the columns of many tools; Open Images is one of them."""

from augpipe.formats.format import Format

FORMAT = Format(
    name="csv",
    looks_like="CSV (a .csv of boxes, Open Images)",
    reader="augpipe.formats.csv.index",
    source="a .csv of boxes, or a folder of them, as Open Images",
    fallback=1,  # tables lie beside many a dataset and say the same
    images=True,
)
