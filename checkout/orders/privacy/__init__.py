"""What is stored of a person: all of it in one document, or erased."""
