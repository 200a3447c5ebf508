"""Labels through a plan: boxes, polygons, masks, keypoints and rasters moved by the numbers that move the pixels."""
