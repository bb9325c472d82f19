"""Quality: what callers later say was true of predictions, and how good each version has been by it."""
