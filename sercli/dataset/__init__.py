"""What every model is fed from: audio, manifest, feature cache, split."""
