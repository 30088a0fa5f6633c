"""The pure core: what is desired, what is observed, and one function that says what to do.

Charter: values in, values out. No I/O, no clock, no randomness, no logging and no third-party
import may enter here; time, observations and the ledger are arguments.
"""
