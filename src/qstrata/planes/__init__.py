"""What the planes of every stratum share: pure decisions, and the tools of asking, watching, inspecting."""
