"""What every other package stands on: processes, the machine, OpenCV, places to write to."""
