"""How good predictions are, and pictures of it."""
