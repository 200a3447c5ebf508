"""The samples of finished folders as a dataset gives them, by number: what all kinds of datasets share."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch.utils.data import get_worker_info

from augpipe.core.errors import DatasetError, UsageError, one_line
from augpipe.core.rng import encode
from augpipe.formats.webdataset.folder import StoredSampleReader, open_folders
from augpipe.train.arguments import one_of
from augpipe.train.image import image_of
from augpipe.train.targets import Labels, Target
from augpipe.train.tv import require_tv_tensors, require_tv_tensors_for, tv_sample

Image: TypeAlias = torch.Tensor
Transform: TypeAlias = Callable[[Image, Target], Any]
Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
LabelsFrom: TypeAlias = Literal["index1", "index0"]
OnError: TypeAlias = Literal["raise", "skip"]


_WORKERS = 129  # the program itself, and its workers, each of which counts for itself


class Damaged(Exception):
    """A sample that cannot be read and is skipped."""


@dataclass(frozen=True)
class SampleOptions:
    """Which samples are read, and what is made of them: the arguments of ``ShardDataset`` with these names."""

    split: str | Sequence[str] | None
    targets: Sequence[str] | None
    labels: LabelsFrom
    drop_crowd: bool
    dtype: torch.dtype
    tv_tensors: bool
    transform: Transform | None
    on_error: OnError


class Stored:
    """Samples (image, target) by (shard, member), both counted from 0."""

    def __init__(self, folders: Paths, options: SampleOptions) -> None:
        paths = [folders] if isinstance(folders, (str, os.PathLike)) else list(folders)
        if not paths:
            raise UsageError("expected at least one folder that `augpipe augment` has finished, got none")
        if isinstance(options.targets, str):
            raise UsageError(f"targets must be several names, as in targets=({options.targets!r},), got a text")
        opened = open_folders(paths, [options.split] if isinstance(options.split, str) else options.split)
        self._labels = Labels.of(
            opened,
            options.targets,
            first_label={"index1": 1, "index0": 0}[one_of("labels", options.labels, ("index1", "index0"))],
            drop_crowd=options.drop_crowd,
        )
        self._float = one_of("dtype", options.dtype, (torch.uint8, torch.float32)) == torch.float32
        self._skips = one_of("on_error", options.on_error, ("raise", "skip")) == "skip"
        self._reader = StoredSampleReader([shard for folder in opened for shard in folder.shards])
        self._tv, self._transform = options.tv_tensors, options.transform
        self._skipped = torch.zeros(_WORKERS, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        if options.tv_tensors:
            require_tv_tensors()
        else:
            require_tv_tensors_for(options.transform)
        self.counts = tuple(shard.samples for shard in self._reader.shards)
        self.categories = opened[0].categories

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._skipped.share_memory_()

    @property
    def skipped(self) -> int:
        """Samples that were skipped, in all processes."""
        return int(self._skipped.sum())

    def sample(self, shard: int, member: int) -> Any:
        """One sample, transformed.

        Raises:
            DatasetError: it is damaged.
            Damaged: the same, where such are to be skipped; it is counted, and a warning names it.
        """
        try:
            stored = self._reader.sample(shard, member)
            image, target = image_of(stored), self._labels.target_of(stored)
        except DatasetError as error:
            if not self._skips:
                raise
            worker = get_worker_info()
            self._skipped[0 if worker is None else 1 + worker.id % (_WORKERS - 1)] += 1
            warnings.warn(f"a damaged sample is skipped: {one_line(error)}", RuntimeWarning, stacklevel=2)
            raise Damaged from error
        if self._float:
            image = image.to(torch.float32).div_(255)
        if self._tv:
            image, target = tv_sample(image, target)
        return (image, target) if self._transform is None else self._transform(image, target)

    def digest(self) -> str:
        """What tells these shards from others."""
        shards = [f"{os.path.basename(shard.path)} {shard.sha256} {shard.samples}" for shard in self._reader.shards]
        return hashlib.blake2b(encode(*shards), digest_size=8).hexdigest()
