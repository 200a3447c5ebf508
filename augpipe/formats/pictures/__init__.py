"""Pictures without labels: a picture, or a folder of them."""

from augpipe.formats.format import Format

FORMAT = Format(
    name="pictures",
    looks_like="pictures without labels",
    reader="augpipe.formats.pictures.read",
    fallback=3,
    places=False,
)
