"""What stands in the way of derivatives, and what to use instead."""
