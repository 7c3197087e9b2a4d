"""A fitted object judges ports: what it predicts for rows, claims and holds."""
