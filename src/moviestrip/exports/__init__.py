"""Estimated bodies in the files that others' tools read: VIBE's pickle, AMASS-like .npz, BVH, and one table."""
