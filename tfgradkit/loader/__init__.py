"""What ``load_native`` is made of: memory, ports, arguments, results, functions, threads."""
