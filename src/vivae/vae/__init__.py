"""The networks: the conditional VAE, what is built like it, and the shipped weights."""
