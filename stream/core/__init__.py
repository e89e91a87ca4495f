"""Pure: the window, the memory, one step, scoring, the forecaster's protocol."""
