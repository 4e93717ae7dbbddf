"""Admission: who may do what, how often and for how much, before a request runs and after."""
