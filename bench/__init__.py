"""Speed as ratios: each target beside what was measured, in one run on one machine."""
