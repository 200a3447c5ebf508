"""Operations of one's own: loaded from a file or an installed package that the user names, and from nowhere else."""
