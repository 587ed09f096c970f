"""The user's own source: reading the line that cuts a gradient, and writing it anew."""
