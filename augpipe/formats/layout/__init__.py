"""How datasets are laid out: names of pictures, folders of text files, splits."""
