# The load balancer: inside of the VPC unless a certificate is given and `public` is said.

locals {
  has_certificate = var.certificate_arn != ""
  scheme          = local.has_certificate ? "https" : "http"
  balancer_port   = local.has_certificate ? 443 : 80
}

resource "aws_lb" "this" {
  #checkov:skip=CKV_AWS_91:The proxy's own access log has every request
  #checkov:skip=CKV2_AWS_28:Keys and limits are the proxy's; attach a firewall where clients are not known
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = !var.public
  subnets                    = var.public ? aws_subnet.public[*].id : aws_subnet.tasks[*].id
  security_groups            = [aws_security_group.this["balancer"].id]
  idle_timeout               = local.service.balancer_idle_seconds
  drop_invalid_header_fields = true
  enable_deletion_protection = true
}

resource "aws_lb_target_group" "tasks" {
  name                          = var.name
  vpc_id                        = aws_vpc.this.id
  target_type                   = "ip"
  port                          = local.service.port
  protocol                      = "HTTP"
  load_balancing_algorithm_type = "least_outstanding_requests"
  # ECS sends SIGTERM only when this has ended, or no connection is left.
  deregistration_delay = local.service.deregistration_seconds

  health_check {
    path                = local.service.health.path
    matcher             = "200"
    interval            = local.service.health.interval_seconds
    timeout             = local.service.health.timeout_seconds
    healthy_threshold   = local.service.health.healthy
    unhealthy_threshold = local.service.health.unhealthy
  }
}

resource "aws_lb_listener" "this" {
  #checkov:skip=CKV_AWS_2:Without a certificate it is inside of the VPC
  #checkov:skip=CKV_AWS_103:ssl_policy has TLS 1.2 and newer where there is TLS
  load_balancer_arn = aws_lb.this.arn
  port              = local.balancer_port
  protocol          = upper(local.scheme)
  certificate_arn   = local.has_certificate ? var.certificate_arn : null
  ssl_policy        = local.has_certificate ? "ELBSecurityPolicy-TLS13-1-2-2021-06" : null

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.tasks.arn
  }
}

resource "aws_lb_listener_rule" "closed" {
  listener_arn = aws_lb_listener.this.arn
  priority     = 1

  condition {
    path_pattern {
      values = local.service.closed_paths
    }
  }

  action {
    type = "fixed-response"

    fixed_response {
      status_code  = "404"
      content_type = "text/plain"
    }
  }
}
