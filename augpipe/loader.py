"""The training side under its public name; see :mod:`augpipe.train.dataset`."""

from augpipe.train.dataset import ShardDataset, collate

__all__ = ["ShardDataset", "collate"]
