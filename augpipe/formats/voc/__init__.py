"""Pascal VOC: an XML file a picture, and masks as palette PNGs."""

from augpipe.formats.format import Format, Target

FORMAT = Format(
    name="voc",
    looks_like="Pascal VOC (Annotations/)",
    reader="augpipe.formats.voc.index",
    source="a Pascal VOC folder",
    semantic="beside",
    target=Target(
        writer="augpipe.formats.voc.write",
        folders=("Annotations", "JPEGImages", "ImageSets", "SegmentationClass", "SegmentationObject"),
        pictures="JPEGImages",
        holds={
            "boxes": "from one pixel on",
            "polygons": "as pixels",
            "masks": "yes, but one a pixel",
            "semantic masks": "yes",
            "flags and pose": "yes",
            "parts": "yes",
            "classes": "names of those that occur",
            "fields of its own": "whose names XML can hold",
        },
    ),
)
