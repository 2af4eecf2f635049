"""Quality, rate and speed, of vivae and of its peers alike."""
