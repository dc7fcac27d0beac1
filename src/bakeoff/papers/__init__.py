"""One paper, one file, in the folder of its area; found by the catalogue, imported only to be run."""
