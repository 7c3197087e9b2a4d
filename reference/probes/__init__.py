"""The data a network is asked on."""
