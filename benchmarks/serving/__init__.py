"""What serving costs: ours against a bare echo, the textbook apps and the servers that others wrote; `make bench`."""
