"""Outgoing mail for applications: settings that are known to work, mail that is not lost."""

__version__ = "0.1.0"
