"""Where: power-law kernels around past events and a background map."""
