"""The models that the simulator knows."""
