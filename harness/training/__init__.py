"""How models are trained, and what training returns."""
