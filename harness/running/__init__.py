"""Runs trials under pytest or `check`: collects findings, merges those of xdist's processes, and
handles interruptions.
"""
