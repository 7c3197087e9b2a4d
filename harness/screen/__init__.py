"""The screen at the end of a run: a line for each question, in groups, as wide as the terminal."""
