"""The pytest plugin: its options, one test item for each trial, the display of failures, stop
signals, several processes, and the end of a run.
"""
