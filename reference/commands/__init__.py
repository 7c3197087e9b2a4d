"""What the command `nnet-parity` offers beyond comparing reports: doctor, port, record,
selfcheck.
"""
