"""The diagnosis of a failed trial: where it is outside its bounds first, on whose side, and why."""
