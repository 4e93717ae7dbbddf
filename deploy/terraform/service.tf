# The proxy itself: tasks on Fargate behind a load balancer, as many as their load asks for.

resource "aws_ecs_cluster" "this" {
  #checkov:skip=CKV_AWS_65:Container Insights is priced by metric; alarms need none
  name = var.name
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:It holds no prompts, and CloudWatch encrypts it by keys of its own
  #checkov:skip=CKV_AWS_338:How long it is kept is an option
  for_each = local.log_groups

  name              = each.value
  retention_in_days = var.log_days
}

locals {
  # What containers of proxies and of executors have in common. A crash is followed by the same task
  # with the same volume (restartPolicy), where the journal is.
  containers = { for kind, group in local.log_groups : kind => {
    essential              = true
    user                   = local.service.user
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    restartPolicy          = { enabled = true }
    stopTimeout            = local.service.stop_seconds
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = group
        awslogs-region        = local.place.region
        awslogs-stream-prefix = kind
        mode                  = "non-blocking"
      }
    }
  } }
  data_mount = { sourceVolume = "data", containerPath = local.service.data_folder, readOnly = false }
}

resource "aws_ecs_task_definition" "proxy" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution["proxy"].arn

  runtime_platform {
    cpu_architecture        = var.architecture
    operating_system_family = "LINUX"
  }

  volume {
    name = "data"
  }

  container_definitions = jsonencode([merge(local.containers.proxy, {
    name         = "proxy"
    image        = var.image
    portMappings = [{ containerPort = local.service.port, protocol = "tcp" }]
    mountPoints  = [local.data_mount]
    environment  = [for name, value in local.environment : { name = name, value = value }]
    secrets      = [for name, arn in var.secrets : { name = name, valueFrom = arn }]
  })])
}

resource "aws_ecs_service" "proxy" {
  name            = var.name
  cluster         = aws_ecs_cluster.this.arn
  task_definition = aws_ecs_task_definition.proxy.arn
  launch_type     = "FARGATE"
  desired_count   = var.min_tasks

  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = local.service.startup_seconds

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = aws_subnet.tasks[*].id
    security_groups  = [aws_security_group.this["tasks"].id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.tasks.arn
    container_name   = "proxy"
    container_port   = local.service.port
  }

  lifecycle {
    ignore_changes = [desired_count] # which is scaled
  }

  # ECS refuses a service whose target group has no balancer yet; tasks need their permissions.
  depends_on = [aws_lb_listener.this, aws_iam_role_policy.task, aws_iam_role_policy.execution]
}

resource "aws_appautoscaling_target" "tasks" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.proxy.name}"
  min_capacity       = var.min_tasks
  max_capacity       = var.max_tasks
}

resource "aws_appautoscaling_policy" "cpu" {
  name               = "${var.name}-cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.tasks.service_namespace
  scalable_dimension = aws_appautoscaling_target.tasks.scalable_dimension
  resource_id        = aws_appautoscaling_target.tasks.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = local.service.scaling.cpu_percent
    scale_in_cooldown  = local.service.scaling.in_seconds
    scale_out_cooldown = local.service.scaling.out_seconds

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}
