"""The hub: the Flask API, its services and its admin commands."""
