"""A run, part by part: what it starts from, its plan, its loop, its folder, and how a person follows it."""
