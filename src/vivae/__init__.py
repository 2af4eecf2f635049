"""vivae: learn video with variational autoencoders, and compress it with what was learned."""

__version__ = "0.1.0"
