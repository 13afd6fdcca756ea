"""Export of weights to one file, with the proof that its detections are those of the weights."""
