"""The simulator's wire: errors, signatures, shapes, delivery."""
