"""Simulated time: devices, streams, links, memory, pipelines, serving."""
