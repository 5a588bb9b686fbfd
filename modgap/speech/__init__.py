"""Speech made and heard: synthesis, recognisers, and when each word is said."""
