"""What connects the package to other frameworks."""
