"""Cases and their verdicts: comparison, diagnosis, fits."""
