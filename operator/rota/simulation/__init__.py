"""The operator through days in seconds: the real code on hosts in memory, with clocks moved by hand.

Only what is outside of Rota is played here: Engines, containers, the repository, time. Controller,
reconciler, workers and the decision are those of the daemon, stepped in one thread, so that a seed replays.
"""
