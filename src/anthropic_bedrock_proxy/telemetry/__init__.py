"""What the proxy tells about itself: logs; metrics and traces follow."""
