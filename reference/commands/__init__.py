"""The commands of `nnet-parity` besides comparing reports: back, check, doctor, init, port, record,
selfcheck.
"""
