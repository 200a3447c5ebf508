"""Recipes and operations written out: as YAML, and as data for programs."""
