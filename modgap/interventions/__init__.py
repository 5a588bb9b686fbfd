"""Interventions on critical tokens: what is changed, how, and the plain run it starts from."""
