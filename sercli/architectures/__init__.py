"""One file per network: Config, search_space(trial) and build(config, n_features, n_labels)."""
