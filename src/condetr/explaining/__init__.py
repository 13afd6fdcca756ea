"""A detector's attention for one image or many, as arrays, figures and an HTML page."""
