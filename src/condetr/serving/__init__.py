"""Detectors over HTTP: an app with dynamic batching, limits and access rules, and its page."""
