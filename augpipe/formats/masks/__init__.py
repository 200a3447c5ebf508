"""Semantic masks: pictures beside label images of the same stem."""

from augpipe.formats.format import Format

FORMAT = Format(name="masks", looks_like="images/ with masks/", reader="augpipe.formats.masks.read", numbered=True)
