"""The equations of networks, losses and optimisers, written once for every arithmetic, and the
oracle that bounds their answers.
"""
