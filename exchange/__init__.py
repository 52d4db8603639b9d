"""Homeward: the exchange, its log, its directory and its three programs."""
