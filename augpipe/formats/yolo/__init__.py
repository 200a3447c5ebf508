"""YOLO as Ultralytics has it: data.yaml and a row an object."""
