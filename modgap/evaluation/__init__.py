"""Whole data sets: what is asked, asking it, and verdicts from elsewhere."""
