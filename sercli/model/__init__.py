"""Trained models and ensembles: loading, prediction, calibration, and what a prediction may rest on."""
