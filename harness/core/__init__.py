"""The vocabulary: layouts, contracts, problems, losses, findings, verdicts."""
