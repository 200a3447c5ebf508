"""For notebooks and training loops: a recipe on one picture in memory, a dataset picture by picture, a sheet.

The names are opened by :mod:`augpipe` itself.
"""
