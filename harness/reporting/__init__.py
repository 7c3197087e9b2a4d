"""One result for people and machines: screen, page, Markdown, JSON, GitHub, and changes since an
older run.
"""
