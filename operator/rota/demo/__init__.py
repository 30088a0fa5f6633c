"""A day of the example shop in a few minutes: the real daemon, a real repository, a fast wall clock."""
