"""A file of another library as a recipe, whose text goes through the ordinary check before anybody gets it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from augpipe.core.errors import RecipeError, one_line
from augpipe.recipe import yaml_reader
from augpipe.recipe.compile import compile_recipe
from augpipe.recipe.importing import albumentations, ultralytics
from augpipe.recipe.importing.pieces import Written, depth, flow, lines_of, real
from augpipe.recipe.importing.report import Imported
from augpipe.recipe.other_writers import writer_of
from augpipe.recipe.yaml_reader import Document

_DEEPEST = 10
_READERS = {"Albumentations": albumentations.imported, "Ultralytics": ultralytics.imported}


def import_file(path: str | os.PathLike[str]) -> Imported:
    """The recipe of a file that Albumentations (``A.save``, ``A.to_dict``) or Ultralytics (args.yaml) wrote.

    Nothing of either is needed, and nothing of the file is run: it is read as plain YAML or JSON.

    Raises:
        RecipeError: if the file cannot be read, or nobody known wrote it.
    """
    return imported(yaml_reader.read_file(Path(path)))


def imported(document: Document) -> Imported:
    """The same of a document."""
    said = one_line(document.name, 4096)
    writer = writer_of(document.value)
    if writer is None:
        if isinstance(document.value, dict) and "steps" in document.value:
            raise RecipeError(f"{said}: is a recipe already; 'augpipe recipes check' checks it")
        raise RecipeError(
            f"{said}: expected what Albumentations (A.save, A.to_dict) or Ultralytics (args.yaml) writes; "
            "it has neither '__class_fullname__' nor names such as hsv_h, degrees and fliplr"
        )
    pieces, head, lines = _READERS[writer](document)
    if depth(pieces) > _DEEPEST:
        raise RecipeError(f"{said}: groups are nested more than {_DEEPEST} deep; take some of them apart")
    text = _text(document, writer, head, pieces) if real(pieces) else ""
    if text:
        compile_recipe(yaml_reader.read(f"the recipe of {said}", text), "imported")
    return Imported(document.name, writer, text, tuple(lines))


def _text(document: Document, writer: str, head: Mapping[str, Any], pieces: list[Written]) -> str:
    version = document.value.get("__version__")
    version = f" {one_line(version, 20)}" if isinstance(version, str) else ""
    described = f"From {one_line(Path(document.name).name, 80)} of {writer}{version}"
    lines = ["version: 1", f"description: {json.dumps(described, ensure_ascii=False)}"]
    lines += [f"{key}: {flow(value)}" for key, value in head.items()]
    return "\n".join([*lines, "steps:", *lines_of(pieces)]) + "\n"
