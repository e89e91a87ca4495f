"""Rules over forecasts and events, and the life of an alert."""
