"""Recipes from what other libraries write: files of Albumentations and Ultralytics, read as data, into recipes."""
