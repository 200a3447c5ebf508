"""Published policies as groups of the operations that there are."""
