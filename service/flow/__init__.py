"""What happens, in order: the only code that changes a verification or sends."""
