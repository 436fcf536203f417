"""One file per fusion rule."""
