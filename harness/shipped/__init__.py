"""Ports that ship with weights of their own, judged by a fitted object: what it predicts, claims
and holds.
"""
