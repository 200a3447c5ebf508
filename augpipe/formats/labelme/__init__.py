"""labelme: a JSON a picture, with the shapes that were drawn on it."""

from augpipe.formats.format import Format

FORMAT = Format(
    name="labelme",
    looks_like="labelme (a .json a picture)",
    reader="augpipe.formats.labelme.index",
    source="a folder of labelme JSONs",
    images=True,
)
