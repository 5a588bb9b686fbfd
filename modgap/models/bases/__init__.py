"""Released models that others are built on: what each is, fetching, converting, where it lies."""
