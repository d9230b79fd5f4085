"""Values, errors and their text forms: the vocabulary of all layers. Pure."""
