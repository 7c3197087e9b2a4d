"""A fitted object judges ports: what it predicts for rows, and which misreading explains a port."""
