"""Rules for operations that consist of many steps, such as softmax, losses and norms.

A rule bounds the rounding errors of one operation of torch.
"""
