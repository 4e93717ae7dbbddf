"""Other gateways' configurations, converted into settings and admin operations of ours."""
