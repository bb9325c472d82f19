"""Running: one execution of a training notebook, from its parameters to a version or a record of why there is none."""
