"""Walls around a runner: Docker, sandlock."""
