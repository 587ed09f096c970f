"""``check_gradients`` and ``check_batch_independence``: derivatives against differences, samples against samples."""
