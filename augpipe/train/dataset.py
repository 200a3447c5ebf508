"""Finished folders as an iterable dataset of (image, target) tensors.

An epoch is a computed sequence of (shard, member): shards in the order of a hash of (seed, epoch), then a permutation
inside each window of ``shuffle`` positions. Any stretch of it can be computed alone, so ranks and workers take
contiguous stretches, every sample comes exactly once, and the state of an iteration is one number.
"""

from __future__ import annotations

import hashlib
import operator
import os
import random
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, TypeAlias

from augpipe.core.errors import UsageError
from augpipe.core.extras import missing
from augpipe.core.opencv import cv2
from augpipe.core.rng import encode
from augpipe.formats.webdataset.folder import StoredSampleReader, open_folders
from augpipe.formats.webdataset.schema import CategoryRecord

try:
    import torch
    import torch.distributed as dist
    from torch.utils.data import IterableDataset, get_worker_info
except ImportError as error:
    raise missing("augpipe.loader", "train", error) from error

from augpipe.train.sending import sendable
from augpipe.train.targets import Labels, Target, image_of

Image: TypeAlias = torch.Tensor
Transform: TypeAlias = Callable[[Image, Target], Any]


@dataclass(frozen=True)
class Order:
    """The sequence of samples of one epoch. ``counts`` are the samples of each shard."""

    counts: tuple[int, ...]
    shuffle: int
    seed: int
    epoch: int

    def stretch(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """The (shard, member) at positions ``first`` to ``end``, exclusive."""
        shards = self._permutation(len(self.counts), "shards")
        ends = list(accumulate(self.counts[shard] for shard in shards))
        for index in self._indexes(first, end):
            turn = bisect_right(ends, index)
            shard = shards[turn]
            yield shard, index - ends[turn] + self.counts[shard]

    def _indexes(self, first: int, end: int) -> Iterator[int]:
        total = sum(self.counts)
        window = max(1, min(self.shuffle or total, total))
        for start in range(first // window * window, end, window):
            order = self._permutation(min(window, total - start), "window", start)
            for position in range(max(first - start, 0), min(end - start, window)):
                yield start + order[position]

    def _permutation(self, n: int, *what: str | int) -> Sequence[int]:
        """A permutation by ``random()`` of the Mersenne Twister, whose values Python guarantees for integer seeds."""
        if self.shuffle == 0 or n < 2:
            return range(n)
        word = hashlib.blake2b(encode(self.seed, self.epoch, *what)).digest()
        draw = random.Random(int.from_bytes(word, "big")).random
        keys = [draw() for _ in range(n)]
        return sorted(range(n), key=keys.__getitem__)


def share(first: int, end: int, part: int, parts: int, unit: int = 1) -> tuple[int, int]:
    """Part number ``part`` of first..end, cut into ``parts`` that differ by at most one ``unit``.

    >>> [share(0, 10, part, 3) for part in range(3)]
    [(0, 3), (3, 6), (6, 10)]
    >>> [share(0, 10, part, 2, unit=4) for part in range(2)]
    [(0, 4), (4, 10)]
    """
    units = -(-(end - first) // unit)
    from_unit, to_unit = units * part // parts, units * (part + 1) // parts
    return min(end, first + from_unit * unit), min(end, first + to_unit * unit)


@dataclass
class _Progress:
    """The state of one iteration: ``position`` samples of its stretch are done."""

    epoch: int
    stretch: tuple[int, int]
    position: int = 0


class ShardDataset(IterableDataset[Any]):
    """The samples of finished local folders, each exactly once an epoch over all ranks and DataLoader workers.

    A sample is (image, target). The image is a uint8 tensor (C, H, W), RGB or gray (C = 1); for the target see
    :class:`augpipe.train.targets.Labels`. All samples of a dataset have the same keys.

    **Epochs.** The order is a function of (seed, epoch). Call :meth:`set_epoch` before each epoch; iterating again
    without it repeats the order, since workers are copies that cannot count epochs.

    **Resuming.** :meth:`state_dict` and :meth:`load_state_dict` go on at exactly the next sample, alone or through
    torchdata's ``StatefulDataLoader``. With workers use that loader's state: a plain ``DataLoader`` does not know how
    far its workers are.

    **Lengths.** ``len`` is this rank's number of samples. A DataLoader with workers makes a partial last batch for each
    of them, which ``len(loader)`` does not count. With the loader's ``batch_size`` given here too, workers take whole
    batches, only the epoch's last one is partial, and ``len(loader)`` is exact, with ``drop_last`` too. Ranks differ by
    at most one sample, so possibly by one batch: see torch's ``Join``.

    Args:
        folders: a finished folder, or several with the same classes.
        split: the split to read, by any of its names, or several to read together; ``none`` is that of pictures in no
            split. Folders with one split need none; those with several are never mixed unasked.
        shuffle: size of the window in which samples are shuffled, after the shards; the number of all samples is a
            perfect shuffle, 1 shuffles only shards, 0 keeps the order as written in every epoch.
        seed: any integer; the same for all ranks.
        rank: this process among ``world_size``. Without both: from torch.distributed if it is initialized, else from
            RANK and WORLD_SIZE in the environment, else 0 of 1.
        world_size: the number of processes that share an epoch.
        batch_size: the DataLoader's, see above.
        transform: called with (image, target) in the worker; returns the sample.

    Raises:
        DatasetError: if a folder is unfinished, damaged, of another schema or of other classes than the first.
        UsageError: if the arguments make no sense, or a folder has several splits and ``split`` names none.
    """

    def __init__(
        self,
        folders: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        split: str | Sequence[str] | None = None,
        shuffle: int = 0,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        batch_size: int | None = None,
        transform: Transform | None = None,
    ) -> None:
        super().__init__()
        paths = [folders] if isinstance(folders, (str, os.PathLike)) else list(folders)
        if not paths:
            raise UsageError("ShardDataset needs at least one folder that `augpipe augment` has finished")
        shuffle, seed = _whole("shuffle", shuffle, 0), _whole("seed", seed)
        batch_size = None if batch_size is None else _whole("batch_size", batch_size, 1)
        rank = None if rank is None else _whole("rank", rank)
        world_size = None if world_size is None else _whole("world_size", world_size)
        _require((rank is None) == (world_size is None), "rank", "given together with world_size", rank)
        if rank is not None and world_size is not None:
            _require(0 <= rank < world_size, "rank", f"0 … world_size - 1 = {world_size - 1}", rank)
        opened = open_folders(paths, [split] if isinstance(split, str) else split)
        self._labels = Labels.of(opened)
        self._reader = StoredSampleReader([shard for folder in opened for shard in folder.shards])
        self._counts = tuple(shard.samples for shard in self._reader.shards)
        self._shuffle = shuffle
        self._seed = seed
        self._rank = None if rank is None or world_size is None else (rank, world_size)
        self._unit = batch_size or 1
        self._transform = transform
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]  # one for all workers
        self._progress: _Progress | None = None
        self._resume: Mapping[str, Any] | None = None  # a loaded state, until the next iteration
        self._resume_in = 0  # the process in which it was loaded
        #: The classes, in the order of their labels 1..K.
        self.categories: tuple[CategoryRecord, ...] = opened[0].categories

    def __len__(self) -> int:
        first, end = self._share_of_rank()
        return end - first

    def set_epoch(self, epoch: int) -> None:
        """Set the order of iterations that begin from now on, in persistent workers too."""
        epoch = _whole("epoch", epoch)
        self._epoch.fill_(epoch)
        if self._resume is not None and self._resume["epoch"] != epoch:
            self._resume = None

    def __iter__(self) -> Iterator[Any]:
        if get_worker_info() is not None:
            cv2.setNumThreads(0)
        progress, resume = self._fresh(), self._resume
        if resume is not None:
            self._require_same(resume, progress)
            progress.epoch, progress.position = resume["epoch"], resume["position"]
            self._resume = None
        self._progress = progress
        return self._samples(progress)

    def _samples(self, progress: _Progress) -> Iterator[Any]:
        first, end = progress.stretch
        order = Order(self._counts, self._shuffle, self._seed, progress.epoch)
        for shard, member in order.stretch(first + progress.position, end):
            stored = self._reader.sample(shard, member)
            sample = image_of(stored), self._labels.target_of(stored)
            progress.position += 1
            yield sample if self._transform is None else self._transform(*sample)

    # --- splitting ---------------------------------------------------------------------------------------------------

    def _share_of_rank(self) -> tuple[int, int]:
        return share(0, sum(self._counts), *(self._rank or _rank_and_world_size()))

    def _fresh(self) -> _Progress:
        worker = get_worker_info()
        first, end = self._share_of_rank()
        part, parts = (worker.id, worker.num_workers) if worker is not None else (0, 1)
        return _Progress(int(self._epoch), share(first, end, part, parts, self._unit))

    # --- state -------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The state of the newest iteration in this process, as plain data."""
        if self._resume is not None:
            return dict(self._resume)
        progress = self._progress or self._fresh()
        return {"epoch": progress.epoch, "position": progress.position, **self._identity(progress.stretch)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Make the next iteration the rest of the one of ``state``; :meth:`set_epoch` governs those after it.

        Raises:
            UsageError: if the state is of other data, another seed or shuffle, or another split among processes.
        """
        self._require_same(state, self._fresh())
        self._resume, self._resume_in = dict(state), os.getpid()

    def _identity(self, stretch: tuple[int, int]) -> dict[str, Any]:
        shards = [f"{os.path.basename(shard.path)} {shard.sha256} {shard.samples}" for shard in self._reader.shards]
        digest = hashlib.blake2b(encode(*shards), digest_size=8).hexdigest()
        return {"seed": self._seed, "shuffle": self._shuffle, "shards": digest, "stretch": list(stretch)}

    def _require_same(self, state: Mapping[str, Any], progress: _Progress) -> None:
        if self._resume is state and self._resume_in != os.getpid():
            raise UsageError("load_state_dict in the main process cannot place workers: use StatefulDataLoader's")
        for name, ours in self._identity(progress.stretch).items():
            if state.get(name) != ours:
                hint = "go on with the folders, arguments, ranks and workers that it was saved with"
                raise UsageError(f"this state has {name} = {state.get(name)}, but here it is {ours}: {hint}")

    # --- worker processes --------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._rank is None and _is_distributed():  # a spawned worker is in no process group and could not ask
            state["_rank"] = _rank_and_world_size()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._epoch.share_memory_()


def collate(batch: Sequence[tuple[Image, Target]]) -> tuple[list[Image], list[Target]]:
    """A batch as (images, targets), two lists, since sizes differ; the input of torchvision's detectors.

    In a worker, large tensors are moved into shared memory here. If that is full, as in a container with the usual
    64 MB, the batch goes through the worker's pipe, with a warning: torch alone would lose it and wait forever.
    """
    images, targets = [image for image, _ in batch], [target for _, target in batch]
    return (images, targets) if get_worker_info() is None else (sendable(images), sendable(targets))


def _is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized()


def _rank_and_world_size() -> tuple[int, int]:
    if _is_distributed():
        return dist.get_rank(), dist.get_world_size()
    rank, world_size = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    if rank is None or world_size is None:
        return 0, 1
    valid = rank.isdecimal() and world_size.isdecimal() and int(rank) < int(world_size)
    _require(valid, "RANK", f"0 … WORLD_SIZE - 1, with WORLD_SIZE={world_size}, in the environment", rank)
    return int(rank), int(world_size)


def _whole(name: str, value: object, least: int | None = None) -> int:
    """An integer argument, also of NumPy or torch. ``shuffle=True`` of a DataLoader would be a window of one sample."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        behind = "" if least is None else f", {least} or more"
        raise UsageError(f"{name} must be a whole number{behind}, got {value!r}") from None
    _require(least is None or number >= least, name, f"{least} or more", number)
    return number


def _require(condition: bool, name: str, expected: str, got: object) -> None:
    if not condition:
        raise UsageError(f"{name} must be {expected}, got {got}")
