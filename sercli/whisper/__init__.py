"""Whisper's weights and its encoder: what the recogniser, the feature and the fine-tuned network share."""
