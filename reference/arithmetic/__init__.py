"""The arithmetics that a network's equations are evaluated in: plain, bounded and grid (the tests add balls).

Each offers the same few operations on values of its own kind; `equations.evaluate` uses nothing else. Shapes carry a
leading axis of draws throughout; `dot` is a batched matrix product.
"""
