# What CDK and Terraform both have to know, read from ../aws; ${name} in it is filled in.

data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:Of the names in order the first are taken: a zone that is added comes last
  state = "available"

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"] # no local zones
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  facts    = "${path.module}/../aws"
  service  = jsondecode(file("${local.facts}/service.json"))
  product  = jsondecode(file("${local.facts}/product.json"))
  refusals = jsondecode(file("${local.facts}/refusals.json"))

  zones  = slice(data.aws_availability_zones.available.names, 0, var.zones)
  by_nat = var.egress == "nat"

  tables = { for kind, table in local.product.tables : kind => "${var.table_prefix}-${table.suffix}" }
  place = {
    partition = data.aws_partition.current.partition
    region    = data.aws_region.current.region
    account   = data.aws_caller_identity.current.account_id
  }

  executor_environment = jsondecode(file("${local.facts}/executor-environment.json"))

  has_executors  = var.executors > 0
  domain         = "${var.name}.internal" # of the executors' names
  executor_names = [for number in range(var.executors) : "executor-${number}"]
  executor_urls  = [for name in local.executor_names : "http://${name}.${local.domain}:${local.service.executor_port}"]

  environment = merge(
    jsondecode(templatefile("${local.facts}/environment.json", {
      region      = local.place.region
      limits_url  = var.limits == "redis" ? "rediss://${aws_elasticache_replication_group.limits[0].primary_endpoint_address}:${local.service.redis_port}/0" : "memory://"
      workers     = max(1, floor(var.cpu / 1024))
      metrics     = contains(keys(var.secrets), "METRICS_TOKEN")
      sandboxes   = local.has_executors
      sandbox_url = join(",", local.executor_urls)

      # Not the whole VPC: who is believed may say where a request comes from.
      balancer_networks = join(",", var.public ? aws_subnet.public[*].cidr_block : aws_subnet.tasks[*].cidr_block)
    })),
    { for kind, table in local.product.tables : table.setting => local.tables[kind] },
    var.settings,
  )
}
