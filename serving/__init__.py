"""Answers: serves the versions of a store as a typed API."""
