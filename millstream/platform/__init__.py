"""What programs use besides tensors: command-line flags, the entry point, logging."""
