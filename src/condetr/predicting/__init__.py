"""Where pictures come from, and the files that answers go to."""
