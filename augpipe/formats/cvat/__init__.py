"""CVAT for images 1.1: one XML for all pictures."""

from augpipe.formats.format import Format

FORMAT = Format(
    name="cvat",
    looks_like="CVAT for images (annotations.xml)",
    reader="augpipe.formats.cvat.index",
    source="a CVAT for images annotations.xml, or its folder",
    unnamed_keypoints=True,
    images=True,
)
