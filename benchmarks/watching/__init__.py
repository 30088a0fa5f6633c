"""Watching many hosts: how soon everything is seen, how soon a death, with how much memory."""
