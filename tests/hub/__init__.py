"""A local server that speaks the Hugging Face hub's protocol, with random weights in the real layouts."""
