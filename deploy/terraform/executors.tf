# Executors of sandboxes: each a machine of its own, which alone has the Docker socket. A container of a
# conversation lives in one executor, and its id says in which: so each is a service of one task, on a
# machine with its number, at a name of its own, never behind a balancer.

locals {
  socket = "/var/run/docker.sock"
}

data "aws_ssm_parameter" "machine_image" {
  count = local.has_executors ? 1 : 0

  name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
}

resource "aws_iam_role" "machine" {
  count = local.has_executors ? 1 : 0

  name_prefix        = "${var.name}-machine-"
  assume_role_policy = local.trust.ec2
}

resource "aws_iam_role_policy_attachment" "machine" {
  count = local.has_executors ? 1 : 0

  role       = aws_iam_role.machine[0].name
  policy_arn = "arn:${local.place.partition}:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
}

resource "aws_iam_instance_profile" "machine" {
  count = local.has_executors ? 1 : 0

  name_prefix = "${var.name}-machine-"
  role        = aws_iam_role.machine[0].name
}

resource "aws_launch_template" "machine" {
  count = var.executors

  name_prefix            = "${var.name}-executor-${count.index}-"
  image_id               = data.aws_ssm_parameter.machine_image[0].insecure_value
  instance_type          = var.executor_instance_type
  update_default_version = true
  user_data = base64encode(templatefile("${local.facts}/executor.sh", {
    cluster = aws_ecs_cluster.this.name
    number  = count.index
  }))

  iam_instance_profile {
    arn = aws_iam_instance_profile.machine[0].arn
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1 # not from containers
  }

  network_interfaces {
    associate_public_ip_address = false
    security_groups             = [aws_security_group.this["machines"].id]
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_size = 40
      volume_type = "gp3"
      encrypted   = true
    }
  }
}

resource "aws_autoscaling_group" "machine" {
  count = var.executors

  name_prefix         = "${var.name}-executor-${count.index}-"
  min_size            = 1
  max_size            = 1
  vpc_zone_identifier = aws_subnet.tasks[*].id

  launch_template {
    id      = aws_launch_template.machine[count.index].id
    version = aws_launch_template.machine[count.index].latest_version
  }

  tag {
    key                 = "Name"
    value               = "${var.name}-executor-${count.index}"
    propagate_at_launch = true
  }
}

resource "aws_service_discovery_private_dns_namespace" "this" {
  count = local.has_executors ? 1 : 0

  name = local.domain
  vpc  = aws_vpc.this.id
}

resource "aws_service_discovery_service" "executor" {
  count = var.executors

  name = local.executor_names[count.index]

  dns_config {
    namespace_id = aws_service_discovery_private_dns_namespace.this[0].id

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}

resource "aws_ecs_task_definition" "executor" {
  count = local.has_executors ? 1 : 0

  family                   = "${var.name}-executor"
  requires_compatibilities = ["EC2"]
  network_mode             = "awsvpc"
  execution_role_arn       = aws_iam_role.execution["executors"].arn

  # Docker's own volume: it takes over the owner that the image gave to the folder.
  volume {
    name = "data"

    docker_volume_configuration {
      driver = "local"
      scope  = "task"
    }
  }

  volume {
    name      = "docker"
    host_path = local.socket
  }

  container_definitions = jsonencode([merge(local.containers.executors, {
    name         = "executor"
    image        = var.executor_image
    command      = ["sandboxd", "--listen", "http://0.0.0.0:${local.service.executor_port}"]
    memory       = 512 # of the executor itself; sandboxes are beside it, not in it
    portMappings = [{ containerPort = local.service.executor_port, protocol = "tcp" }]
    mountPoints  = [local.data_mount, { sourceVolume = "docker", containerPath = local.socket, readOnly = false }]
    secrets      = [{ name = "SANDBOX_TOKEN", valueFrom = var.secrets["SANDBOX_TOKEN"] }]
    environment = [
      for name, value in merge(local.executor_environment, var.executor_settings) :
      { name = name, value = value }
    ]
  })])
}

resource "aws_ecs_service" "executor" {
  count = var.executors

  name            = local.executor_names[count.index]
  cluster         = aws_ecs_cluster.this.arn
  task_definition = aws_ecs_task_definition.executor[0].arn
  launch_type     = "EC2"
  desired_count   = 1

  # The old one ends before the new one has the machine.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100

  placement_constraints {
    type       = "memberOf"
    expression = "attribute:executor == ${count.index}"
  }

  network_configuration {
    subnets         = aws_subnet.tasks[*].id
    security_groups = [aws_security_group.this["executors"].id]
  }

  service_registries {
    registry_arn = aws_service_discovery_service.executor[count.index].arn
  }
}
