# What cannot work is refused, by the same sentences as those of the CDK app.

locals {
  pinned           = "^[^\\s@]+(@sha256:[0-9a-f]{64}|:[\\w.-]+)$"
  size             = lookup(local.service.fargate, tostring(var.cpu), { least = 1, most = 0 })
  given_settings   = [for name in concat(keys(var.settings), keys(var.executor_settings)) : upper(name)] # which the proxy reads in any case
  given_secrets    = [for name in keys(var.secrets) : upper(name)]
  fixed_settings   = concat(keys(jsondecode(file("${local.facts}/environment.json"))), keys(local.executor_environment), [for table in local.product.tables : table.setting])
  is_own_image     = can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.amazonaws\\.com(\\.cn)?/", var.image))
  is_pinned        = { for name, image in { proxy = var.image, executor = var.executor_image } : name => can(regex(local.pinned, image)) && !endswith(image, ":latest") }
  are_secret_arns  = alltrue([for arn in values(var.secrets) : can(regex("^arn:[\\w-]+:(secretsmanager:[^:]+:\\d+:secret:|ssm:[^:]+:\\d+:parameter/)[^\\s*?]+$", arn))])
  are_roles        = alltrue([for arn in var.assume_roles : can(regex("^arn:[\\w-]+:iam::\\d{12}:role/[^\\s*?]+$", arn))])
  are_networks     = alltrue([for network in concat([var.vpc_cidr], var.clients) : can(cidrnetmask(network))])
  plain_secrets    = setintersection(local.given_settings, local.product.secret_settings)
}

resource "terraform_data" "options" {
  lifecycle {
    precondition {
      condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
      error_message = local.refusals.name
    }
    precondition {
      condition     = local.is_pinned.proxy
      error_message = local.refusals.image_pinned
    }
    precondition {
      condition     = local.are_networks
      error_message = local.refusals.networks
    }
    precondition {
      condition     = contains([2, 3], var.zones)
      error_message = local.refusals.zones
    }
    precondition {
      condition     = contains(["nat", "endpoints"], var.egress)
      error_message = local.refusals.egress
    }
    precondition {
      condition     = var.egress != "endpoints" || local.is_own_image
      error_message = local.refusals.endpoints_image
    }
    precondition {
      condition     = var.egress != "endpoints" || !local.has_executors
      error_message = local.refusals.endpoints_executors
    }
    precondition {
      condition     = !var.public || local.has_certificate
      error_message = local.refusals.public_certificate
    }
    precondition {
      condition     = !var.public || !contains(concat(local.given_settings, local.given_secrets), "REQUIRE_API_KEY")
      error_message = local.refusals.public_keys
    }
    precondition {
      condition     = !var.public || length(var.clients) > 0
      error_message = local.refusals.public_clients
    }
    precondition {
      condition     = can(regex("^[A-Za-z0-9_.-]{3,200}$", var.table_prefix))
      error_message = local.refusals.table_prefix
    }
    precondition {
      condition     = contains(["redis", "per-task"], var.limits)
      error_message = local.refusals.limits
    }
    precondition {
      condition     = var.min_tasks >= 1 && var.max_tasks >= var.min_tasks
      error_message = local.refusals.tasks
    }
    precondition {
      condition     = var.memory >= local.size.least && var.memory <= local.size.most
      error_message = local.refusals.fargate_size
    }
    precondition {
      condition     = contains(["X86_64", "ARM64"], var.architecture)
      error_message = local.refusals.architecture
    }
    precondition {
      condition     = length(local.plain_secrets) == 0
      error_message = local.refusals.secret_in_settings
    }
    precondition {
      condition     = length(setintersection(concat(local.given_settings, local.given_secrets), local.fixed_settings)) == 0
      error_message = local.refusals.fixed_setting
    }
    precondition {
      condition     = local.are_secret_arns
      error_message = local.refusals.secret_arns
    }
    precondition {
      condition     = local.are_roles
      error_message = local.refusals.role_arns
    }
    precondition {
      condition     = var.executors >= 0 && floor(var.executors) == var.executors
      error_message = local.refusals.executors
    }
    precondition {
      condition     = !local.has_executors || local.is_pinned.executor
      error_message = local.refusals.executor_image_pinned
    }
    precondition {
      condition     = !local.has_executors || contains(keys(var.secrets), "SANDBOX_TOKEN")
      error_message = local.refusals.executor_token
    }
  }
}
