"""2D pose detection: the embedded detector, and the contract by which any detector is called."""
