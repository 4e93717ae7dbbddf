"""Components that the proxy stands on, looked at for /ready and /health."""
