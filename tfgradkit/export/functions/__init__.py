"""The functions that an export has: names, shapes and dtypes of what goes in and out, each traced once."""
