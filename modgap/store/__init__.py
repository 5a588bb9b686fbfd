"""The cache: content-addressed records, kept as safetensors and parquet."""
