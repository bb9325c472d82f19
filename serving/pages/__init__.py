"""Pages: for people, what programs get as documents. Rendered here; the scripts beside them only fill in forms."""
