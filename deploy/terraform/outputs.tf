output "url" {
  description = "The base URL for clients; with a certificate, its name in place of the balancer's."
  value       = "${local.scheme}://${aws_lb.this.dns_name}"
}

output "tasks_security_group" {
  description = "The group of the proxy's tasks: to let in a Prometheus, for example."
  value       = aws_security_group.this["tasks"].id
}
