"""Looks at a model that a command line names: finds it in its file, and says what it takes and
returns.
"""
