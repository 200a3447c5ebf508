"""Recipes: YAML in, plans out."""
