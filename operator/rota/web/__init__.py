"""What the daemon serves: the webhook and its own health. It knows two callables, nothing else."""
