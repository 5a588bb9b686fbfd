"""What all sessions of the server share: the worker, its jobs, its models, its results."""
