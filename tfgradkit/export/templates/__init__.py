"""The files that an exported folder is made of: real C, and Jinja templates."""
