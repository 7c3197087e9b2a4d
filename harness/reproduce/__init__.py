"""A failure made small, and the script that fails in the same way by itself."""
