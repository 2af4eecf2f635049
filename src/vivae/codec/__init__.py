"""The codecs: the pure VAE one with its container, and the layered one on top of AV1."""
