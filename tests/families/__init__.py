"""Tiny random checkpoints of every family, saved as a user's folder would be."""
