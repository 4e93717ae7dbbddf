# Two or three zones: balancers and NAT gateways in public subnets, all else in private ones.

locals {
  has_public = local.by_nat || var.public
}

resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11:Flow logs are priced by the gigabyte; security groups say who may connect
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }
}

resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id
}

resource "aws_subnet" "tasks" {
  count = var.zones

  vpc_id            = aws_vpc.this.id
  availability_zone = local.zones[count.index]
  cidr_block        = cidrsubnet(var.vpc_cidr, 4, count.index)

  tags = { Name = "${var.name}-tasks" }
}

resource "aws_subnet" "public" {
  count = local.has_public ? var.zones : 0

  vpc_id            = aws_vpc.this.id
  availability_zone = local.zones[count.index]
  cidr_block        = cidrsubnet(var.vpc_cidr, 8, 64 + count.index)

  tags = { Name = "${var.name}-public" }
}

resource "aws_internet_gateway" "this" {
  count = local.has_public ? 1 : 0

  vpc_id = aws_vpc.this.id
}

resource "aws_route_table" "public" {
  count = local.has_public ? 1 : 0

  vpc_id = aws_vpc.this.id

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.this[0].id
  }
}

resource "aws_route_table_association" "public" {
  count = local.has_public ? var.zones : 0

  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public[0].id
}

resource "aws_eip" "nat" {
  count = local.by_nat ? var.zones : 0

  domain = "vpc"
}

resource "aws_nat_gateway" "this" {
  count = local.by_nat ? var.zones : 0

  subnet_id     = aws_subnet.public[count.index].id
  allocation_id = aws_eip.nat[count.index].id

  depends_on = [aws_internet_gateway.this]
}

resource "aws_route_table" "tasks" {
  count = var.zones

  vpc_id = aws_vpc.this.id
}

resource "aws_route" "nat" {
  count = local.by_nat ? var.zones : 0

  route_table_id         = aws_route_table.tasks[count.index].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[count.index].id
}

resource "aws_route_table_association" "tasks" {
  count = var.zones

  subnet_id      = aws_subnet.tasks[count.index].id
  route_table_id = aws_route_table.tasks[count.index].id
}

# Gateways cost nothing and are always there.
resource "aws_vpc_endpoint" "gateway" {
  for_each = toset(local.service.gateway_endpoints)

  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${local.place.region}.${each.key}"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = aws_route_table.tasks[*].id
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.by_nat ? toset([]) : toset(local.service.interface_endpoints)

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${local.place.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = aws_subnet.tasks[*].id
  security_group_ids  = [aws_security_group.this["endpoints"].id]
}
