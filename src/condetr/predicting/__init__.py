"""Detecting objects in images: what is read, what is predicted, what is written."""
