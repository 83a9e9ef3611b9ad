"""The version, once: the ground, the package and its packaging read it here."""

__version__ = "0.1.0"
