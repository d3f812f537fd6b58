"""The HTTP resources, one module each, and what surrounds every request."""
