"""Private operators of torch and oneDNN, each with a public fallback that computes the same."""
