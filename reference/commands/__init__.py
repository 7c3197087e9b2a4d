"""What the command `nnet-parity` offers beyond the harness: doctor, record, selfcheck."""
