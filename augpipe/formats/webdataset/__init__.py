"""Tar shards of samples, and finished folders of them."""
