"""Questions, answers, and verdicts on them."""
