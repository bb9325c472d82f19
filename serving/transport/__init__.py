"""Transport: bytes before they are requests, and after they were answers; how many, how large, how slow, from where."""
