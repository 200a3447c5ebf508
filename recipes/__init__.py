"""Shipped recipes, as package data."""
