"""Every op that runs while a recording is on, with the user's line that made it."""
