"""The vocabulary: what is asked, answered, compared and said. It imports no other room."""
