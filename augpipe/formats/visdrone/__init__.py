"""VisDrone: a text file a picture, boxes of traffic and people from above."""

from augpipe.formats.format import Format

FORMAT = Format(
    name="visdrone",
    looks_like="VisDrone (annotations/*.txt)",
    reader="augpipe.formats.visdrone.read",
    source="a VisDrone-DET folder (images/ beside annotations/*.txt)",
    images=True,
)
