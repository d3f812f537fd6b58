"""What people read: Jinja2 templates of mails and pages, and the texts of documents per language (see each folder)."""
