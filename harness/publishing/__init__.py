"""A report as files: a page of HTML, Markdown, and JSON for machines."""
