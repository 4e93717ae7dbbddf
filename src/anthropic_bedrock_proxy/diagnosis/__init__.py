"""Checks of an installation, for `doctor`: each tells what it found, and the mend."""
