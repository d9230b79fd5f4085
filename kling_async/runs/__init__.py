"""Job files, run directories, progress displays and reports."""
