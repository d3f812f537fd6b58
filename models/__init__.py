"""What Registrar talks about: tables, messages, identifiers, money, vocabulary, errors. No behaviour beyond its own truth."""
