"""What to do: changes (target minus observed) and the actions among them that are safe now."""
