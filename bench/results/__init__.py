"""The results folder and its numbers."""
