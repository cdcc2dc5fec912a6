"""Per-frame features phi: crops of a person, a fixed network, one vector a frame."""
