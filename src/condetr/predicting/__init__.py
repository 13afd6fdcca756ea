"""Where images come from, and the files that answers go to."""
