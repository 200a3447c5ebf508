"""What all packages build on: annotations, geometry, plans, random numbers, errors; processes, OpenCV, local paths."""
