"""Text: what comes from outside made harmless, lines for a shell, literals of Python, files written
whole, compiled templates.
"""
