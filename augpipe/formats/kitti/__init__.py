"""KITTI: a text file a picture, boxes of street scenes with what is known of them in space."""

from augpipe.formats.format import Format

FORMAT = Format(
    name="kitti",
    looks_like="KITTI (label_2/)",
    reader="augpipe.formats.kitti.read",
    source="a KITTI folder (image_2/ beside label_2/)",
    images=True,
)
