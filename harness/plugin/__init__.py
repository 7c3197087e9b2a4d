"""The plugin of pytest: options, items, blocks of failures, signals, processes, end of a run."""
