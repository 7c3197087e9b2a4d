"""A failure made small, as a script that stands alone."""
