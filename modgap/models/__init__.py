"""Speech language models behind one interface: prompts, capture, decoding."""
