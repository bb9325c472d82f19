"""Limiting: how many requests, rows and refused keys are too many, and who is told so."""
