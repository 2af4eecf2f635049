"""Small random models and clips for the codec."""

from tests.vae.conftest import make_model

__all__ = ["make_model"]
