"""Keeps the results of earlier runs in a folder of limited size, and computes their trend."""
