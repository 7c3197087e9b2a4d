"""What the command `nnet-parity` offers beyond comparing reports: back, doctor, port, record,
selfcheck.
"""
