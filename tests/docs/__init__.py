"""The documentation, done as it says."""
