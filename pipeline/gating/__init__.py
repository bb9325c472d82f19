"""The gate: a candidate and the champion are asked the same held-out rows, and the better one answers from then on."""
