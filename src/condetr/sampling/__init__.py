"""Choosing frames of a video to label."""
