"""What the command `nnet-parity` offers beyond comparing reports: back, check, doctor, init, port,
record, selfcheck.
"""
