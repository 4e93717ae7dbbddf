# Who may reach whom; the only place that says so.

locals {
  group_descriptions = {
    balancer  = "The load balancer: clients come in here"
    tasks     = "Tasks of the proxy"
    redis     = "Redis, which limits are counted in"
    executors = "Executors of sandboxes: they reach nothing"
    machines  = "Machines of executors: nothing comes in"
    endpoints = "Endpoints of AWS inside of the VPC"
  }

  # From one group to another.
  ways = {
    requests = { from = "balancer", to = "tasks", port = local.service.port }
    limits   = { from = "tasks", to = "redis", port = local.service.redis_port }
    code     = { from = "tasks", to = "executors", port = local.service.executor_port }
  }

  # From networks into a group.
  entries = merge(
    { for network in length(var.clients) > 0 ? var.clients : [var.vpc_cidr] : "balancer ${network}" => {
      to = "balancer", network = network, port = local.balancer_port
    } },
    { endpoints = { to = "endpoints", network = var.vpc_cidr, port = 443 } },
  )
}

resource "aws_security_group" "this" {
  for_each = local.group_descriptions

  name        = "${var.name}-${each.key}"
  description = each.value
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "way" {
  for_each = local.ways

  description                  = each.key
  security_group_id            = aws_security_group.this[each.value.to].id
  referenced_security_group_id = aws_security_group.this[each.value.from].id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "way" {
  for_each = local.ways

  description                  = each.key
  security_group_id            = aws_security_group.this[each.value.from].id
  referenced_security_group_id = aws_security_group.this[each.value.to].id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_ingress_rule" "entry" {
  for_each = local.entries

  description       = each.key
  security_group_id = aws_security_group.this[each.value.to].id
  cidr_ipv4         = each.value.network
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
}

# Bedrock, DynamoDB, secrets, images, logs; and the documents that clients name by URL.
resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = toset(["tasks", "machines"])

  description       = "HTTPS"
  security_group_id = aws_security_group.this[each.key].id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
