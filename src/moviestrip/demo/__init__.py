"""From a video to everyone's bodies in it: what `moviestrip demo` does."""
