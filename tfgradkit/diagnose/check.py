"""x"""

GradientCheck = check_gradients = None
