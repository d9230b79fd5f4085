"""HTTP: requests to provider APIs with the key, and downloads of outputs, most of them without it."""
