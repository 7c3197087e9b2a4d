"""One result, told to people and machines: screen, page, Markdown, JSON, GitHub, and what changed
since an older run.
"""
