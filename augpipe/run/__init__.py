"""A run: a dataset and a recipe become shards, one shard task at a time."""
