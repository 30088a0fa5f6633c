"""Rota, the duty roster of a Docker fleet."""

__version__ = "0.1.0"
