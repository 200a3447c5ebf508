"""What a written object must be: its expected shape, and checks of each kind of label."""
