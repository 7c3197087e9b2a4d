"""Probes: random parameters and data at which networks and models are compared."""
