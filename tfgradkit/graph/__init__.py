"""The graph of a traced function, as people look at it."""
