"""Finished folders as the source of a ``torchdata.nodes`` pipeline; the only file that imports torchdata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from augpipe.core.extras import missing
from augpipe.train.dataset import ShardDataset

try:
    from torchdata.nodes import BaseNode
except ImportError as error:
    raise missing("augpipe.nodes", "train", error) from error


class ShardNode(BaseNode[Any]):  # type: ignore[misc]  # torchdata has no types
    """The samples of a dataset in the order of its epoch, as a node with the state of :meth:`ShardDataset.state_dict`.

    One process reads them, so a ``transform`` is better given to a ``ParallelMapper``. Call the dataset's ``set_epoch``
    before the pipeline is iterated again.

    Args:
        dataset: not iterated by anything else.
    """

    def __init__(self, dataset: ShardDataset) -> None:
        super().__init__()
        self._dataset = dataset
        self._samples: Iterator[Any] = iter(())

    def reset(self, initial_state: Mapping[str, Any] | None = None) -> None:
        """Begin the next epoch, or go on where ``initial_state`` was saved.

        A state from the end of an epoch begins the next one. torchdata's ``Loader`` begins it where there is nothing to
        go on with, but then says the state from before for ever.

        Raises:
            UsageError: the state is of other data, or another order of it.
        """
        super().reset(initial_state)
        if initial_state is not None:
            self._dataset.load_state_dict(initial_state)
            if not self._dataset.has_rest():
                iter(self._dataset)
        self._samples = iter(self._dataset)

    def next(self) -> Any:
        return next(self._samples)

    def get_state(self) -> dict[str, Any]:
        return self._dataset.state_dict()
