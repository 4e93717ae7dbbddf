# The tables of the store, and Redis for limits.

resource "aws_dynamodb_table" "this" {
  #checkov:skip=CKV_AWS_119:DynamoDB encrypts by its own key; secrets in it are hashed or sealed
  for_each = var.create_tables ? local.product.tables : {}

  name                        = local.tables[each.key]
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = each.value.hash_key
  range_key                   = each.value.range_key
  deletion_protection_enabled = true

  dynamic "attribute" {
    for_each = toset(compact(concat([each.value.hash_key, each.value.range_key], values(each.value.indexes))))

    content {
      name = attribute.value
      type = "S"
    }
  }

  dynamic "global_secondary_index" {
    for_each = each.value.indexes

    content {
      name            = global_secondary_index.key
      hash_key        = global_secondary_index.value
      projection_type = "ALL"
    }
  }

  dynamic "ttl" {
    for_each = each.value.ttl == null ? [] : [each.value.ttl]

    content {
      enabled        = true
      attribute_name = ttl.value
    }
  }

  point_in_time_recovery {
    enabled = true
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_elasticache_subnet_group" "limits" {
  count = var.limits == "redis" ? 1 : 0

  name       = var.name
  subnet_ids = aws_subnet.tasks[*].id
}

# Valkey, which speaks Redis and costs a fifth less.
resource "aws_elasticache_replication_group" "limits" {
  #checkov:skip=CKV_AWS_31:It holds counts alone, and only tasks of the proxy reach it
  #checkov:skip=CKV_AWS_191:It holds counts alone; ElastiCache encrypts them by its own key
  count = var.limits == "redis" ? 1 : 0

  replication_group_id       = var.name
  description                = "Limits of the Anthropic Bedrock proxy"
  engine                     = "valkey"
  engine_version             = "8.0"
  node_type                  = var.redis_node_type
  num_cache_clusters         = 2
  automatic_failover_enabled = true
  multi_az_enabled           = true
  transit_encryption_enabled = true
  at_rest_encryption_enabled = true
  subnet_group_name          = aws_elasticache_subnet_group.limits[0].name
  security_group_ids         = [aws_security_group.this["redis"].id]
}
