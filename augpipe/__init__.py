"""augpipe: streaming dataset preprocessing and offline augmentation, with labels that stay right.

The names below are the library's front door; each is imported when it is first used, so ``import augpipe`` is quick.

>>> import augpipe
>>> done = augpipe.augment("data/voc", "shards", "detection", augpipe.RunOptions(copies=4, seed=7))
>>> done.written == 4 * done.pictures
True
>>> samples, pipeline = augpipe.read("data/voc"), augpipe.Pipeline("detection")
>>> out = pipeline(**samples[0].arguments(), copy=0)
>>> len(out.boxes) == len(out.labels)
True
"""

TYPE_CHECKING = False  # that of typing, which nothing else here needs: until cli.start is reached, nothing is imported
if TYPE_CHECKING:
    from typing import Any

    from augpipe.conversion.run import convert
    from augpipe.core.errors import AugpipeError, DatasetError, RecipeError, Reject, RunError, UsageError
    from augpipe.formats.base import SourceOptions
    from augpipe.formats.registry import open_dataset
    from augpipe.interactive.pipeline import Pipeline, PipelineResult
    from augpipe.interactive.samples import Samples, SourceSample, read
    from augpipe.interactive.sheets import preview
    from augpipe.recipe.load import load as load_recipe
    from augpipe.run.augment import Limits, RunOptions, Summary, Watcher, augment
    from augpipe.survey.run import survey as inspect
    from augpipe.train.dataset import ShardDataset, collate
    from augpipe.verification.run import verify

__version__ = "0.1.0"

_HOMES = {
    "AugpipeError": "augpipe.core.errors",
    "DatasetError": "augpipe.core.errors",
    "Limits": "augpipe.run.augment",
    "Pipeline": "augpipe.interactive.pipeline",
    "PipelineResult": "augpipe.interactive.pipeline",
    "RecipeError": "augpipe.core.errors",
    "Reject": "augpipe.core.errors",
    "RunError": "augpipe.core.errors",
    "RunOptions": "augpipe.run.augment",
    "Samples": "augpipe.interactive.samples",
    "ShardDataset": "augpipe.train.dataset",
    "SourceOptions": "augpipe.formats.base",
    "SourceSample": "augpipe.interactive.samples",
    "Summary": "augpipe.run.augment",
    "UsageError": "augpipe.core.errors",
    "Watcher": "augpipe.run.augment",
    "augment": "augpipe.run.augment",
    "collate": "augpipe.train.dataset",
    "convert": "augpipe.conversion.run",
    "inspect": "augpipe.survey.run",
    "load_recipe": "augpipe.recipe.load",
    "open_dataset": "augpipe.formats.registry",
    "preview": "augpipe.interactive.sheets",
    "read": "augpipe.interactive.samples",
    "verify": "augpipe.verification.run",
}

_THERE = {"inspect": "survey", "load_recipe": "load"}
"""What some are called where they are at home."""

__all__ = [
    "AugpipeError",
    "DatasetError",
    "Limits",
    "Pipeline",
    "PipelineResult",
    "RecipeError",
    "Reject",
    "RunError",
    "RunOptions",
    "Samples",
    "ShardDataset",
    "SourceOptions",
    "SourceSample",
    "Summary",
    "UsageError",
    "Watcher",
    "augment",
    "collate",
    "convert",
    "inspect",
    "load_recipe",
    "open_dataset",
    "preview",
    "read",
    "verify",
]


def __getattr__(name: str) -> "Any":
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'augpipe' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), _THERE.get(name, name))


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
