"""Pictures with labels drawn on them, and sheets of them."""
