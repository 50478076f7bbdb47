"""The command line of policywatch, a module for each kind of command."""

from service.cli.main import app, main

__all__ = ["app", "main"]
