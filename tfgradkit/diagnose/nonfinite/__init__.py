"""Where numbers that are not finite come from."""
