"""Speed races: a model against a pacemaker, or one checkout of a project against another. Measures
CPU time in turns, and decides when a slow-down is real.
"""
