"""Tests of condetr.metrics."""
