"""Videos, cameras and streams: their frames, upright and with their times, and a video that is written."""
