"""Finished folders in training: an iterable dataset, targets as tensors, a node of torchdata."""
