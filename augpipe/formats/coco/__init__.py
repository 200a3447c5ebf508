"""COCO: instances, keypoints and panoptic segments in JSON."""
