"""tosmon: a monitor for the terms that platforms impose on people."""

__version__ = "0.1.0"
