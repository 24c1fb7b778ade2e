"""An auth microservice: accounts, sessions and signing keys."""

__version__ = "0.1.0"
