"""What the command `nnet-parity` offers beyond comparing reports: doctor, record, selfcheck."""
