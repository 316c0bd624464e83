"""Elements, the event queue, and its pacing: real, scaled and virtual."""
