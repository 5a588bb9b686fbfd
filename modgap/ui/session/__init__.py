"""What one browser session holds, and its address."""
