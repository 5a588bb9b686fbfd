"""Maps from speech states to text states: learned once from aligned pairs, applied to any clip."""
