"""Trained models and ensembles: loading, prediction, calibration, and explanations of predictions."""
