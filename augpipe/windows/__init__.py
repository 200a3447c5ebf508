"""Pictures cut into windows: the tiles of large ones, and one window around each object."""
