"""Runs trials under pytest or `check`: collects findings, merges those of xdist's processes,
handles interruptions and races.
"""
