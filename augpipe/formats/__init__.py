"""Dataset formats: a package for each, what they share, and the table of them."""
