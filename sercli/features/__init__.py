"""One file per representation: Config, VERSION, INPUT, DTYPE and extract(x, config) -> (T, F)."""
