"""One outside thing a module; nothing is decided here."""
