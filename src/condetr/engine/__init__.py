"""What any training run needs, whatever the model: optimizer, precision, processes, state files, journal, trackers."""
