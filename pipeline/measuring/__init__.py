"""Measuring: metrics by task, and the plots a data scientist would look at."""
