"""The measures of the method: arrays in, numbers out. Knows no model."""
