# What tasks may do: the lists of ../aws, and what the options add to them.

locals {
  log_groups = merge(
    { proxy = "/${var.name}/proxy" },
    local.has_executors ? { executors = "/${var.name}/executors" } : {},
  )
  secrets_of = {
    proxy     = values(var.secrets)
    executors = compact([lookup(var.secrets, "SANDBOX_TOKEN", "")])
  }
  # Of the ARN of an entry, arn:…:secret:NAME:KEY:STAGE:VERSION, the part that is the secret's.
  secret_arns = { for kind, arns in local.secrets_of : kind => distinct([
    for arn in arns : join(":", slice(split(":", arn), 0, min(7, length(split(":", arn)))))
  ]) }
  reads = { for kind, arns in local.secret_arns : kind => [
    for statement in [
      {
        Sid      = "ReadSecrets", Effect = "Allow", Action = ["secretsmanager:GetSecretValue"],
        Resource = [for arn in arns : arn if strcontains(arn, ":secretsmanager:")]
      },
      {
        Sid      = "ReadParameters", Effect = "Allow", Action = ["ssm:GetParameters"],
        Resource = [for arn in arns : arn if strcontains(arn, ":ssm:")]
      },
    ] : statement if length(statement.Resource) > 0
  ] }
  task_statements = concat(
    jsondecode(templatefile("${local.facts}/policy.json", merge(local.place, local.tables))),
    length(var.assume_roles) == 0 ? [] : [{
      Sid = "UseOtherAccounts", Effect = "Allow", Action = ["sts:AssumeRole"], Resource = var.assume_roles
    }],
  )
  trust = { for principal in ["ecs-tasks", "ec2"] : principal => jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "${principal}.amazonaws.com" }
    }]
  }) }
}

resource "aws_iam_role" "task" {
  name_prefix        = "${var.name}-task-"
  assume_role_policy = local.trust["ecs-tasks"]
}

resource "aws_iam_role_policy" "task" {
  role   = aws_iam_role.task.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.task_statements })
}

# These start tasks: they pull the image, read secrets and write the log.
resource "aws_iam_role" "execution" {
  for_each = local.log_groups

  name_prefix        = "${var.name}-start-"
  assume_role_policy = local.trust["ecs-tasks"]
}

resource "aws_iam_role_policy" "execution" {
  for_each = local.log_groups

  role = aws_iam_role.execution[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      jsondecode(templatefile("${local.facts}/execution-policy.json", merge(local.place, { log_group = each.value }))),
      local.reads[each.key],
    )
  })
}
