"""How tensors are laid out in other frameworks and layers: expressions that turn one layout into
another.
"""
