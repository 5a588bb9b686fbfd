"""Inputs made at random, by `make fuzz`; what they found are tests elsewhere."""
