"""Drift while serving: rows and answers are counted as the baseline was, and held against it, a window at a time."""
