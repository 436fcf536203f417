"""Training a network and asking it: specification, batches, training, inference."""
