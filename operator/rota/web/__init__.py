"""What the daemon serves: the webhook, its own health, and the API. It knows callables, nothing else."""
