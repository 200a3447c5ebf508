"""Finished folders as an iterable dataset of (image, target): each sample once an epoch, over all ranks and workers.

An epoch is a computed sequence of samples (:mod:`augpipe.train.order`), dealt in units of one batch
(:mod:`augpipe.train.dealing`). What is done is a beginning of that sequence, so the state of training is two numbers:
the epoch, and the samples seen by all ranks.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from augpipe.core.errors import UsageError
from augpipe.core.extras import missing
from augpipe.core.opencv import cv2
from augpipe.formats.webdataset.schema import CategoryRecord

try:
    import torch
    from torch.utils.data import IterableDataset, get_worker_info
except ImportError as error:
    raise missing("augpipe.loader", "train", error) from error

from augpipe.train.arguments import is_distributed, one_of, rank_and_world_size, require, whole
from augpipe.train.dealing import EVEN, Deal, Even
from augpipe.train.epochs import Epochs
from augpipe.train.order import Order
from augpipe.train.sending import sendable
from augpipe.train.stored import Damaged, Image, LabelsFrom, OnError, Paths, SampleOptions, Stored, Transform
from augpipe.train.targets import Target

_AT_ONCE = 1024  # places of the order that are computed together


@dataclass(frozen=True)
class _Place:
    """This process among those of an iteration."""

    rank: int
    ranks: int
    worker: int
    workers: int  # 0: the program itself
    drawn: int = 0  # by torch, for the workers of one loader


@dataclass
class _Progress:
    """The state of one iteration: of the ``deal`` of an epoch, ``taken`` samples are done in this process."""

    epoch: int
    deal: Deal
    place: _Place
    taken: int = 0


class ShardDataset(IterableDataset[Any]):
    """The samples of finished local folders, each exactly once an epoch over all ranks and DataLoader workers.

    A sample is (image, target). The image is a uint8 tensor (C, H, W), RGB or gray (C = 1); for the target see
    :class:`augpipe.train.targets.Labels`. All samples of a dataset have the same keys.

    **Batches.** With the DataLoader's ``batch_size`` given here too, batches and their order are the same for any
    number of workers, only the last one is partial, and ``len(loader)`` is exact, with ``drop_last`` too.

    **Ranks.** ``even`` says what becomes of the samples that do not go round; with ``drop`` and ``pad`` all ranks have
    as many batches, and :attr:`uneven` is the number of samples that are left out (below 0) or repeated.

    **Epochs.** The order is a function of (seed, epoch). Every iteration is the next epoch; :meth:`set_epoch` says
    which one it is.

    **Resuming.** :meth:`state_dict` is JSON and says the epoch and the samples seen by all ranks, so it is loaded into
    any number of workers and ranks. A plain DataLoader with workers reads ahead: give :meth:`state_dict` the number of
    batches that were taken from it. torchdata's ``StatefulDataLoader`` has a state of its own for as many workers.

    Args:
        folders: a finished folder, or several with the same classes.
        split: the split to read, by any of its names, or several to read together; ``none`` is that of pictures in no
            split. Folders with one split need none; those with several are never mixed unasked.
        shuffle: ``True`` for any order with the same probability, ``False`` or 0 for the order as written in every
            epoch. A number N keeps neighbours together for slow disks: runs of N/256 samples are mixed, then the places
            in each window of N.
        seed: any integer; the same for all ranks.
        rank: this process among ``world_size``. Without both: from torch.distributed if it is initialized, else from
            RANK and WORLD_SIZE in the environment, else 0 of 1.
        world_size: the number of processes that share an epoch.
        batch_size: the DataLoader's, see above.
        even: ``drop``, ``pad`` (the epoch's first samples come again) or ``keep`` (each sample once, so that some ranks
            may have one more, or a batch more). Without it: ``drop`` for several ranks, ``keep`` for one.
        targets: the labels that are wanted, of boxes, masks, rle, keypoints, obb, attributes, semantic, panoptic, tags
            and captions; the others are not decoded. Without it: all but ``rle`` and ``attributes`` that are there.
        labels: ``index1`` for labels 1..K, as torchvision's detectors take them, or ``index0`` for 0..K-1.
        drop_crowd: leave out objects that are crowds.
        dtype: of images: ``torch.uint8``, or ``torch.float32`` in 0..1.
        tv_tensors: give images, boxes, masks and keypoints as torchvision's tv_tensors, as transforms of its v2 need.
        transform: called with (image, target) in the worker; returns the sample.
        on_error: ``raise`` for a damaged sample, or ``skip`` to go on without it, with a warning; :attr:`skipped`
            counts them.

    Raises:
        DatasetError: if a folder is unfinished, damaged, of another schema or of other classes than the first.
        UsageError: if the arguments make no sense, or a folder has several splits and ``split`` names none.
    """

    def __init__(  # noqa: PLR0913  # all are keywords, and the same as those of ShardFiles
        self,
        folders: Paths,
        *,
        split: str | Sequence[str] | None = None,
        shuffle: bool | int = False,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        batch_size: int | None = None,
        even: Even | None = None,
        targets: Sequence[str] | None = None,
        labels: LabelsFrom = "index1",
        drop_crowd: bool = False,
        dtype: torch.dtype = torch.uint8,
        tv_tensors: bool = False,
        transform: Transform | None = None,
        on_error: OnError = "raise",
    ) -> None:
        super().__init__()
        self._shuffle = {True: None, False: 0}[shuffle] if isinstance(shuffle, bool) else whole("shuffle", shuffle, 0)
        self._seed = whole("seed", seed)
        self._unit = 1 if batch_size is None else whole("batch_size", batch_size, 1)
        self._knows_batches = batch_size is not None
        rank = None if rank is None else whole("rank", rank)
        world_size = None if world_size is None else whole("world_size", world_size)
        require((rank is None) == (world_size is None), "rank", "given together with world_size", rank)
        if rank is not None and world_size is not None:
            require(0 <= rank < world_size, "rank", f"0 … world_size - 1 = {world_size - 1}", rank)
        self._rank = None if rank is None or world_size is None else (rank, world_size)
        self._even = None if even is None else one_of("even", even, EVEN)
        options = SampleOptions(split, targets, labels, drop_crowd, dtype, tv_tensors, transform, on_error)
        self._stored = Stored(folders, options)
        self._skips = on_error == "skip"
        self._epochs = Epochs()
        self._progress: _Progress | None = None
        self._within: Mapping[str, Any] | None = None  # of a loaded state: where inside this process's part it stands

    @property
    def categories(self) -> tuple[CategoryRecord, ...]:
        """The classes, in the order of their labels."""
        return self._stored.categories

    @property
    def uneven(self) -> int:
        """Samples of an epoch that are repeated so that ranks are even; below 0 those that are left out."""
        return self._deal(0, self._place().ranks).added

    @property
    def skipped(self) -> int:
        """Damaged samples that were skipped so far, in all workers of this process."""
        return self._stored.skipped

    def __len__(self) -> int:
        place = self._place()
        return self._deal(0, place.ranks).count(place.rank)

    def set_epoch(self, epoch: int) -> None:
        """Make ``epoch`` that of the next iteration, in persistent workers too."""
        epoch = _in_64_bits("epoch", epoch)
        if self._epochs.has_begun() or self._epochs.next()[0] != epoch:
            self._epochs.set(epoch)
            self._within = None

    def __iter__(self) -> Iterator[Any]:
        place = self._place()
        if place.workers:
            cv2.setNumThreads(0)
        epoch, seen = self._epochs.begin(place.worker if place.workers else None, place.drawn)
        within, self._within = self._within, None
        self._progress = progress = _Progress(epoch, self._deal(seen, place.ranks), place)
        if within is not None:
            _require_same_place(within, self._place_of(place))
            progress.taken = within["taken"]
        return self._samples(progress)

    def _samples(self, progress: _Progress) -> Iterator[Any]:
        place, deal = progress.place, progress.deal
        order = Order(self._stored.counts, self._shuffle, self._seed, progress.epoch)
        batches = deal.batches(place.rank, place.worker, max(1, place.workers))
        positions = itertools.islice(itertools.chain.from_iterable(batches), progress.taken, None)
        while some := list(itertools.islice(positions, _AT_ONCE)):
            for shard, member in order.places(np.array(some, np.int64) % deal.total):
                progress.taken += 1
                try:
                    sample = self._stored.sample(shard, member)
                except Damaged:
                    continue
                yield sample

    # --- dealing -----------------------------------------------------------------------------------------------------

    def _place(self) -> _Place:
        rank, ranks = self._rank or rank_and_world_size()
        if (worker := get_worker_info()) is None:
            return _Place(rank, ranks, 0, 0)
        return _Place(rank, ranks, worker.id, worker.num_workers, worker.seed - worker.id)

    def _deal(self, seen: int, ranks: int) -> Deal:
        total = sum(self._stored.counts)
        even: Even = self._even or ("drop" if ranks > 1 else "keep")
        if self._skips and ranks > 1 and even != "keep":
            raise UsageError(
                "on_error='skip' leaves ranks with different numbers of batches: use 'raise', or even='keep' and Join"
            )
        if even == "drop" and total < ranks and total > 0:
            raise UsageError(f"{total} samples for {ranks} ranks leave some without any: even='pad' repeats samples")
        return Deal(total, self._unit, ranks, even, min(seen, total))

    # --- state -------------------------------------------------------------------------------------------------------

    def state_dict(self, batches: int | None = None) -> dict[str, Any]:
        """Where the newest iteration stands, as JSON.

        Args:
            batches: of ``batch_size`` samples that this rank has taken in that iteration, which a plain DataLoader with
                workers does not say. Without it: what was taken from this object itself.
        """
        if batches is not None:
            return self._state_after(whole("batches", batches, 0))
        if get_worker_info() is None and self._epochs.has_begun(by_workers=True):
            raise UsageError(
                "a DataLoader's workers read ahead: say state_dict(batches=…), those that the loop has taken"
            )
        progress = self._progress
        if progress is None or self._within is not None:
            epoch, seen = self._epochs.next()
            return self._state(epoch, seen) | ({} if self._within is None else {"within": dict(self._within)})
        if (
            progress.place.workers == 0
            and (done := progress.deal.done(progress.taken, progress.place.rank)) is not None
        ):
            return self._state(progress.epoch, done)
        within = {"taken": progress.taken, **self._place_of(progress.place)}
        return self._state(progress.epoch, progress.deal.start) | {"within": within}

    def _state_after(self, batches: int) -> dict[str, Any]:
        if not self._knows_batches and batches:
            raise UsageError("state_dict(batches=…) needs ShardDataset(batch_size=…), the DataLoader's")
        epoch, seen = self._epochs.now()
        place = self._place()
        deal = self._deal(seen, place.ranks)
        done = deal.done(min(batches * self._unit, deal.count(place.rank)), place.rank)
        return self._state(epoch, deal.total if done is None else done)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Make the next iteration the rest of the one of ``state``; those after it are the next epochs.

        Raises:
            UsageError: it is no state of these data, seed and shuffle.
        """
        _require_state(state)
        for name, ours in self._identity().items():
            if state[name] != ours:
                hint = "go on with the folders and arguments that it was saved with"
                raise UsageError(f"this state has {name} = {state[name]}, but here it is {ours}: {hint}")
        self._within = state.get("within")
        place = self._place()
        if self._within is not None and place.workers:
            _require_same_place(self._within, self._place_of(place))
        if place.workers:
            self._epochs.set_in_worker(state["epoch"], state["seen"])
        else:
            self._epochs.set(state["epoch"], state["seen"])
        self._progress = None

    def has_rest(self) -> bool:
        """Whether the next iteration gives samples: that of a state from the end of an epoch gives none."""
        place, (_, seen) = self._place(), self._epochs.next()
        taken = 0 if self._within is None else self._within["taken"]
        return bool(taken < self._deal(seen, place.ranks).count(place.rank))

    def _state(self, epoch: int, seen: int) -> dict[str, Any]:
        return {"epoch": epoch, "seen": seen, **self._identity()}

    def _identity(self) -> dict[str, Any]:
        shuffle = True if self._shuffle is None else self._shuffle
        return {"seed": self._seed, "shuffle": shuffle, "shards": self._stored.digest()}

    def _place_of(self, place: _Place) -> dict[str, int]:
        return {"ranks": place.ranks, "worker": place.worker, "workers": place.workers, "batch_size": self._unit}

    # --- worker processes --------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._rank is None and is_distributed():  # a spawned worker is in no process group and could not ask
            state["_rank"] = rank_and_world_size()
        return state


def _require_state(state: object) -> None:
    fields = set(state) if isinstance(state, Mapping) else set()
    if not isinstance(state, Mapping) or not {"epoch", "seen", "seed", "shuffle", "shards"} <= fields:
        why = "an older augpipe wrote it" if "stretch" in fields else "it has other fields"
        raise UsageError(f"this is no state of ShardDataset.state_dict ({why}): begin the epoch anew")
    _in_64_bits("epoch of the state", state["epoch"])
    _in_64_bits("seen of the state", state["seen"], 0)
    if (within := state.get("within")) is not None:
        require(isinstance(within, Mapping) and "taken" in within, "within of the state", "a dict with taken", within)
        whole("taken of the state", within["taken"], 0)


def _in_64_bits(name: str, value: object, least: int | None = None) -> int:
    number = whole(name, value, least)
    require(abs(number) < 1 << 62, name, "below 2**62", number)
    return number


def _require_same_place(within: Mapping[str, Any], place: Mapping[str, int]) -> None:
    other = [name for name, ours in place.items() if within.get(name) != ours]
    if other:
        was = ", ".join(f"{name} = {within.get(name)}" for name in other)
        now = ", ".join(f"{name} = {place[name]}" for name in other)
        raise UsageError(
            f"this state lies inside a worker's part or a batch ({was}; here {now}): save it between batches, by "
            "state_dict(batches=…), to go on with other workers or ranks"
        )


def collate(batch: Sequence[tuple[Image, Target]]) -> tuple[list[Image], list[Target]]:
    """A batch as (images, targets), two lists, since sizes differ; the input of torchvision's detectors.

    In a worker, large tensors are moved into shared memory here. If that is full, as in a container with the usual
    64 MB, the batch goes through the worker's pipe, with a warning: torch alone would lose it and wait forever.
    """
    images, targets = [image for image, _ in batch], [target for _, target in batch]
    return (images, targets) if get_worker_info() is None else (sendable(images), sendable(targets))
