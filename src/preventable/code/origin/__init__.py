"""Which commits brought a fault: candidates with weights, from the pass that replays a history."""
