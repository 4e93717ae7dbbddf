"""The simulator's judgement of Converse requests."""
