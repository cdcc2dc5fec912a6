"""Networks that read per-frame features: the movie strip, its regressors, the hallucinator and the pose prior."""
