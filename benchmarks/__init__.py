"""Figures, side by side with what they are compared with, in one run: `make bench`, or one by its name."""
