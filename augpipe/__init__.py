"""augpipe: streaming dataset preprocessing and offline augmentation, with labels that stay right.

The names below are the library's front door; each is imported when it is first used, so ``import augpipe`` is quick.

>>> import augpipe
>>> done = augpipe.augment("data/voc", "shards", "detection", augpipe.RunOptions(copies=4, seed=7))
>>> done.written == 4 * done.pictures
True
"""

TYPE_CHECKING = False  # that of typing, which nothing else here needs: until cli.start is reached, nothing is imported
if TYPE_CHECKING:
    from typing import Any

    from augpipe.core.errors import AugpipeError, DatasetError, RecipeError, Reject, RunError, UsageError
    from augpipe.formats.base import SourceOptions
    from augpipe.formats.registry import open_dataset
    from augpipe.recipe.load import load as load_recipe
    from augpipe.run.augment import Limits, RunOptions, Summary, Watcher, augment
    from augpipe.train.dataset import ShardDataset, collate

__version__ = "0.1.0"

_HOMES = {
    "AugpipeError": "augpipe.core.errors",
    "DatasetError": "augpipe.core.errors",
    "Limits": "augpipe.run.augment",
    "RecipeError": "augpipe.core.errors",
    "Reject": "augpipe.core.errors",
    "RunError": "augpipe.core.errors",
    "RunOptions": "augpipe.run.augment",
    "ShardDataset": "augpipe.train.dataset",
    "SourceOptions": "augpipe.formats.base",
    "Summary": "augpipe.run.augment",
    "UsageError": "augpipe.core.errors",
    "Watcher": "augpipe.run.augment",
    "augment": "augpipe.run.augment",
    "collate": "augpipe.train.dataset",
    "load_recipe": "augpipe.recipe.load",
    "open_dataset": "augpipe.formats.registry",
}

__all__ = [
    "AugpipeError",
    "DatasetError",
    "Limits",
    "RecipeError",
    "Reject",
    "RunError",
    "RunOptions",
    "ShardDataset",
    "SourceOptions",
    "Summary",
    "UsageError",
    "Watcher",
    "augment",
    "collate",
    "load_recipe",
    "open_dataset",
]


def __getattr__(name: str) -> "Any":
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'augpipe' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), "load" if name == "load_recipe" else name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
