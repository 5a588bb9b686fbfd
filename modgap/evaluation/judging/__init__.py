"""Verdicts from elsewhere, and the exchange formats of answers."""
