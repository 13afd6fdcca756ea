"""Images from files to batches: decoded upright, resized, normalised, augmented, cached, and loaded ahead."""
