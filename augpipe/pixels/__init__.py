"""Pixels: decoding, the steps of a plan on a backend, encoding; and the slow reference that tests compare with."""
