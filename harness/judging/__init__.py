"""Cases and their verdicts: answers are cached, compared and diagnosed; fits are judged."""
