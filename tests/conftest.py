from __future__ import annotations

from hypothesis import settings

# No deadline: these machines pause; the example count keeps the unit layer under its 10 s.
settings.register_profile("default", deadline=None, max_examples=60)
settings.load_profile("default")
