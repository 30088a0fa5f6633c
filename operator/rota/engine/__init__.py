"""Docker hosts: the port that the rest sees, one worker per host, and the engines behind the port."""
