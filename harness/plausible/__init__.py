"""How plausible a map of parameters is: by names, by the order of declaration, and by the numbers
inside both models.
"""
