"""Layers with state, losses, optimisers, and their weights in safetensors."""

from pyconvx.nn import safetensors

__all__ = ["safetensors"]
