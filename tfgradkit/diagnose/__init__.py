"""Findings about functions and derivatives: checks that a user runs."""
