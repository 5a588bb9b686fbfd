"""The families: one module a model type; the module's name is the registry."""
