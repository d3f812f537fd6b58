"""What Registrar talks about: tables, messages, identifiers, money, vocabulary, errors. No behaviour of its own."""
