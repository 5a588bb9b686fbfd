"""Interventions on many questions with known answers."""
