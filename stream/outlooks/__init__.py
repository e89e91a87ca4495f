"""When an outlook is due, and the process that simulates it."""
