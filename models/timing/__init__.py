"""When: Hawkes kernels whose weights a network chooses, corrected by an LSTM."""
