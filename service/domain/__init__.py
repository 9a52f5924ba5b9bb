"""What is true: the words and rules of a verification, without I/O, clock or hidden state."""
