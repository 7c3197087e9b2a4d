"""Probes: the parameters and data at which networks are compared."""
