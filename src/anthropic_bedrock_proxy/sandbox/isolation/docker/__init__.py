"""Docker as isolation: one container for each runner."""
