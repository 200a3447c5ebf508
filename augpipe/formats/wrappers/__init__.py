"""Readers around readers: what a user has chosen about crowds and about labels of another size."""
