"""Tar shards of samples, and finished folders of them."""

from augpipe.formats.format import Format

FORMAT = Format(
    name="shards",
    looks_like="tar shards",
    reader="augpipe.formats.webdataset.read",
    source="a folder of shards",
    stays="plans, visible shares and what was dropped stay in the shards",
    reads_archives=True,
    numbered=True,
    unnamed_keypoints=True,
)
