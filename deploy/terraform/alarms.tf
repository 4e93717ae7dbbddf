# The alarms of ../aws/alarms.json.

locals {
  alarms = jsondecode(templatefile("${local.facts}/alarms.json", { min_tasks = var.min_tasks }))
  topics = compact([var.alarm_topic_arn])

  # The values of dimensions, by their names in the file.
  places = merge(local.tables, {
    load_balancer = aws_lb.this.arn_suffix
    target_group  = aws_lb_target_group.tasks.arn_suffix
    cluster       = aws_ecs_cluster.this.name
    service       = aws_ecs_service.proxy.name
  })
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = { for alarm in local.alarms : alarm.name => alarm }

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = { for dimension, place in each.value.dimensions : dimension => local.places[place] }
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  period              = each.value.period
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = each.value.to_alarm
  treat_missing_data  = each.value.missing
  alarm_actions       = local.topics
  ok_actions          = local.topics
}
