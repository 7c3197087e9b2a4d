"""The questions: the PyTorch models of both seed questions, and what is asked of them."""
