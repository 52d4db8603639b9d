"""The agency program: SDK and command line."""
