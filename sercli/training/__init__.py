"""Training: from a prepared dataset to run directories."""
