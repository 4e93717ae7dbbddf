"""An answer: events, their grammar, usage and cost."""
