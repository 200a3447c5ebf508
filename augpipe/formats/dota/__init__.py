"""DOTA: oriented boxes in text files."""
