"""Training: what it starts from, its plan, its loop, its folder, and the progress that a person follows."""
