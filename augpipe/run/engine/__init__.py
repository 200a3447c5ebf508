"""What carries out the tasks of a run: worker processes on this machine, or this process."""
