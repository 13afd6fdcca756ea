"""What a detector looked at, as arrays, figures and a page."""
