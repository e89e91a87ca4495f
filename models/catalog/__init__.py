"""What a catalogue holds, what of it is used, from which magnitude it is complete, and how it is divided for training."""
