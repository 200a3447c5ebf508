"""Finished folders as a map-style dataset: a sample by its number, for samplers, subsets and whoever shards itself."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch.utils.data import Dataset

from augpipe.formats.webdataset.schema import CategoryRecord
from augpipe.train.arguments import whole
from augpipe.train.stored import LabelsFrom, Paths, SampleOptions, Stored, Transform


class ShardFiles(Dataset[Any]):
    """The samples of finished local folders by number, in the order as written.

    It is what ``Subset``, ``random_split``, ``ConcatDataset``, samplers, Accelerate and trainers that divide the data
    among processes themselves need. Samples and arguments are those of
    :class:`augpipe.train.dataset.ShardDataset`, which reads faster and deals to ranks and workers itself.

    Raises:
        DatasetError: if a folder is unfinished, damaged, of another schema or of other classes than the first.
        UsageError: if the arguments make no sense, or a folder has several splits and ``split`` names none.
    """

    def __init__(  # all are keywords, and the same as those of ShardDataset
        self,
        folders: Paths,
        *,
        split: str | Sequence[str] | None = None,
        targets: Sequence[str] | None = None,
        labels: LabelsFrom = "index1",
        drop_crowd: bool = False,
        dtype: torch.dtype = torch.uint8,
        tv_tensors: bool = False,
        transform: Transform | None = None,
    ) -> None:
        super().__init__()
        options = SampleOptions(split, targets, labels, drop_crowd, dtype, tv_tensors, transform, "raise")
        self._stored = Stored(folders, options)
        self._ends = tuple(accumulate(self._stored.counts))

    @property
    def categories(self) -> tuple[CategoryRecord, ...]:
        """The classes, in the order of their labels."""
        return self._stored.categories

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Any:
        """A sample; negative numbers count from the end.

        Raises:
            IndexError: there is none.
            DatasetError: it is damaged.
        """
        number = whole("index", index)
        number += len(self) if number < 0 else 0
        if not 0 <= number < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        shard = bisect_right(self._ends, number)
        return self._stored.sample(shard, number - self._ends[shard] + self._stored.counts[shard])
