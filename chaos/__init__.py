"""A whole academy under faults. Who does what and what breaks follows from a seed; then everything has to be right."""
