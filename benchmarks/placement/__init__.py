"""Placement, judged: against known rules on the same fleets, a lower bound and an exact solver."""
