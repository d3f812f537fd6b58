"""What workflows, activities and the API say to each other: frozen, bounded, free of personal data."""
