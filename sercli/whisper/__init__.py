"""Whisper's weights and its encoder, which the recogniser and the feature share."""
