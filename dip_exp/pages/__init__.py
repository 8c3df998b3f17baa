"""Runs and tables as HTML that opens from a file, without a server or a network."""
