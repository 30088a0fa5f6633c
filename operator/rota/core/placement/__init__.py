"""Where instances go: filters that explain themselves, a rank, and one function that places."""
