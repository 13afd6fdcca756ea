"""Prediction of any number of images by several processes or machines, one Parquet row for each image."""
