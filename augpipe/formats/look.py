"""The one look at the labels of a picture that is to be worked on, for all commands and every process."""

from __future__ import annotations

from typing import Literal

from augpipe.core.annotations import Annotations, Header
from augpipe.core.errors import Reject
from augpipe.formats.base import Entry, Reader, label_fault, read_labels
from augpipe.labels.normalize import aligned


def upright_labels(
    reader: Reader, entry: Entry, header: Header, exif: Literal["upright", "stored"] = "upright"
) -> Annotations:
    """The labels of an entry in upright pixels, cut to the frame of its picture.

    Raises:
        Reject: they cannot be read, for whatever reason, or belong to another picture.
    """
    stated = read_labels(reader, entry)
    try:
        return aligned(stated, header, exif)
    except Reject:
        raise
    except Exception as error:  # as in read_labels
        raise label_fault(error, entry) from error
