"""Tests of condetr.measure."""
