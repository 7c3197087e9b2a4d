"""Fits of trainers: judges their claims, compares shares of good fits, and sums them up for the
report.
"""
