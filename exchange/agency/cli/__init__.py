"""The caseworker's command line, `exchange-agency`: one file for each group of commands.

A command parses its options, calls the SDK and prints. It must hold no rule of its own, never take a
passphrase as an argument, and never show a traceback for bad input.
"""

from exchange.agency.cli.main import main

__all__ = ["main"]
