"""Training: clips in memory, HMMR's losses, one readable loop, and the predictions of what it made."""
