"""Clips: where they come from, how they are decoded, and the conditions of their sound."""
