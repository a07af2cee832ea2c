"""The version of the package, where everything can ask for it without opening the front door."""

__version__ = "0.1.0"
