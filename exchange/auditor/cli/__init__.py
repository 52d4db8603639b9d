"""The auditor's command line: enrol like any member, pull the log, verify it offline."""

from exchange.auditor.cli.main import main

__all__ = ["main"]
