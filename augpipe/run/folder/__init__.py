"""The folder of a run: shards, commit records, state, locks, manifest."""
