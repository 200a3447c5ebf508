"""The training side under its public names; see :mod:`augpipe.train.dataset` and :mod:`augpipe.train.files`."""

from augpipe.train.dataset import ShardDataset, collate
from augpipe.train.files import ShardFiles
from augpipe.train.tv import objects_where

__all__ = ["ShardDataset", "ShardFiles", "collate", "objects_where"]
