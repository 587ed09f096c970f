"""From a traced function to kernels: frozen, made canonical, compiled, read back as plain records."""
