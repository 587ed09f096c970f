"""Every op that runs while Python is watched, with the user's line that made it."""
