"""Runs what is pending: in this process or in several, and how long it will take."""
