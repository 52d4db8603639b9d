"""A hub with invented agencies and data on one machine, for integrators; the demo stands on it too."""
