"""Doorward keeps the door to people's machines and applications."""

__version__ = "0.1.0"
