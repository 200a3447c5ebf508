"""VGG Image Annotator (VIA 2 and 1): a JSON or CSV of regions for all pictures."""

from augpipe.formats.format import Format

FORMAT = Format(
    name="via",
    looks_like="VIA (via_region_data.json)",
    reader="augpipe.formats.via.index",
    source="a VIA JSON or CSV, or its folder",
    images=True,
)
