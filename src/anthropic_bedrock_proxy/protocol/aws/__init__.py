"""Amazon's event streams, and what can go wrong inside one."""
