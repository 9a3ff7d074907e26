"""Placement to collectives, stages and schedules: what a run consists of."""
