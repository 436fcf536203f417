"""One file per corpus: HOMEPAGE, LICENCE, LABELS, SPLIT, FOLDS and read(root)."""
