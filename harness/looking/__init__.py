"""Finds the model that a command line names, and examines its parameters, inputs and outputs."""
