"""The miniature world: motions, scenes and rendered videos whose truth is known because we made them."""
