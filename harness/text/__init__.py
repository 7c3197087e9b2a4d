"""Text and files: text made harmless, shell lines, Python literals, atomic writing, compiled
templates.
"""
