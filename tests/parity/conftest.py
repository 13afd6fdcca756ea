"""transformers is the independent reference; nothing is downloaded."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
