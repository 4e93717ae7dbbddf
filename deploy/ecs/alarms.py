"""The alarms of ../aws/alarms.json."""

from __future__ import annotations

from typing import Any

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct
from facts import document
from options import Options


def add_alarms(scope: Construct, options: Options, **places: str) -> None:
    """Adds all alarms; `places` are the values of their dimensions, by their names in the file."""
    for alarm in document("alarms.json", min_tasks=options.min_tasks):
        _add_alarm(scope, options, alarm, {**options.tables, **places})


def _add_alarm(
    scope: Construct, options: Options, alarm: dict[str, Any], places: dict[str, str]
) -> None:
    name, statistic = alarm["name"], alarm["statistic"]
    topics = [options.alarm_topic_arn] if options.alarm_topic_arn else None
    is_percentile = statistic.startswith("p")
    cloudwatch.CfnAlarm(
        scope,
        name.title().replace("-", ""),
        alarm_name=f"{options.name}-{name}",
        alarm_description=alarm["description"],
        namespace=alarm["namespace"],
        metric_name=alarm["metric"],
        dimensions=[
            cloudwatch.CfnAlarm.DimensionProperty(name=dimension, value=places[place])
            for dimension, place in alarm["dimensions"].items()
        ],
        statistic=None if is_percentile else statistic,
        extended_statistic=statistic if is_percentile else None,
        period=alarm["period"],
        comparison_operator=alarm["comparison"],
        threshold=alarm["threshold"],
        evaluation_periods=alarm["periods"],
        datapoints_to_alarm=alarm["to_alarm"],
        treat_missing_data=alarm["missing"],
        alarm_actions=topics,
        ok_actions=topics,
    )
