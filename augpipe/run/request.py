"""Where the source of a run is and how its recipe was given, kept in run.json so that ``retry`` needs only the folder.

The configuration holds what decides the bytes, without places. The request is not covered by a digest, since a source
may be moved.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from augpipe.core.errors import UsageError, one_line
from augpipe.formats.base import SourceOptions
from augpipe.formats.class_choice import choice_of
from augpipe.formats.layout.parting import parting_of
from augpipe.pixels.codec import pixel_reading
from augpipe.pixels.codec.image import PictureFormat
from augpipe.pixels.cuda.select import Device
from augpipe.recipe import yaml_reader
from augpipe.recipe.load import compiled
from augpipe.recipe.nodes import Recipe
from augpipe.run.config import RunOptions
from augpipe.storage.remote import is_url
from augpipe.storage.resolve import is_pattern
from augpipe.windows.spec import from_json as windows_from_json

_NO_REQUEST = "run.json: does not say how the run was asked for; run the same augment command again instead"


def request_of(source: str, recipe: Recipe, options: SourceOptions) -> dict[str, Any]:
    """The request for run.json: absolute places, and the values that ``--set`` put into the recipe's text."""
    return {
        "source": _absolute(source),
        "format": options.format,
        "classes": _absolute(options.classes),
        "images": _absolute(options.images),
        "overrides": list(recipe.overrides),
    }


def _absolute(path: Path | str | None) -> str | None:
    return None if path is None else str(path) if is_url(str(path)) else os.path.abspath(path)


def read_request(
    config: Mapping[str, Any],
    request: Mapping[str, Any],
    source: str | None,
    device: Device,
    option: str = "--source",
) -> tuple[str, Recipe, RunOptions]:
    """The source, the recipe and the options of a run by its run.json.

    Args:
        config: of the run.
        request: of the run.
        source: where the source is now, if it was moved.
        device: of the kind that the configuration names.
        option: which says where the source is now, for messages.

    Raises:
        UsageError: run.json is damaged or has no request, or the source is not there.
        RecipeError: its recipe is no longer valid.
    """
    try:
        reading, picture, recipe = config["reading"], config["picture"], config["recipe"]
        choice = choice_of(config)
        options = RunOptions(
            copies=config["copies"],
            originals=config["originals"],
            seed=config["seed"],
            source=SourceOptions(
                request["format"],
                config["split"],
                _path(request["classes"]),
                request["images"],
                config["limit"],
                reading["exif"],
                reading["voc_origin"],
                config["void"]["semantic"],
                choice.keep,
                choice.rename,
                parting_of(config),
                reading.get("crowds", "keep"),
                reading.get("size_mismatch", "keep"),
            ),
            picture=PictureFormat(picture["format"], picture["quality"], picture["subsampling"]),
            reading=pixel_reading.from_json(picture),
            sources_per_shard=config["sources_per_shard"],
            max_pixels=reading["max_pixels"],
            truncated=reading["truncated"],
            strict=reading["strict"],
            device=device,
            window=windows_from_json(config["window"]) if "window" in config else None,
            augment_splits=tuple(config.get("augmented", config.get("splits", ()))),
            splits_apart="splits" in config,
        )
        place, name, text, overrides = request["source"], recipe["name"], recipe["text"], request["overrides"]
        if not all(isinstance(value, str) for value in (place, name, text, *overrides, request["images"] or "")):
            raise TypeError
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(_NO_REQUEST) from error
    found = source if source is not None else place
    if not is_url(found) and not is_pattern(found) and not os.path.exists(found):
        raise UsageError(f"{one_line(found)}: the source is not there; say where it is with {option}")
    return found, compiled(yaml_reader.read(f"{name}.yaml", text), name, overrides), options


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
