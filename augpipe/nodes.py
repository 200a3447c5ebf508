"""Datasets as nodes of torchdata under their public name; see :mod:`augpipe.train.nodes`."""

from augpipe.train.nodes import ShardNode

__all__ = ["ShardNode"]
