"""Classification: a folder of pictures a class."""

from augpipe.formats.format import Format

FORMAT = Format(
    name="imagefolder",
    looks_like="a folder a class",
    reader="augpipe.formats.imagefolder.read",
    fallback=2,
    places=False,
)
