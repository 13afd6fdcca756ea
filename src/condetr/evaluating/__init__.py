"""Evaluation of a detector, or of a file of detections, on a data set: numbers, a table, an HTML page."""
