"""The formats that are written: a table of them, beside that of the readers.

A writer is imported when a dataset is written in its format.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from augpipe.catalogue import WRITABLE
from augpipe.formats.base import Dataset
from augpipe.formats.target import Stage, Target, WriteOptions, Writer


def _target(name: str, module: str) -> Target:
    def start(dataset: Dataset, stage: Stage, options: WriteOptions) -> Writer:
        writer: Writer = import_module(module).open_writer(dataset, stage, options)
        return writer

    return Target(WRITABLE[name], start)


WRITERS: Mapping[str, Target] = {
    name: _target(name, f"augpipe.formats.{name}_write") for name in ("coco", "voc", "yolo", "dota")
}
