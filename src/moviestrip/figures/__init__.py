"""Pictures of a run: skeletons on frames, meshes on people, training curves, the funnel of clips."""
