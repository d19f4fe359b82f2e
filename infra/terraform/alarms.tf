# Made by generate.py from template.yaml, where the reasons stand. Do not edit.

resource "aws_cloudwatch_metric_alarm" "events_dead_letters" {
  alarm_name        = "${var.name}-events-dead-letters"
  alarm_description = "Events that no automation could handle. Runbook - EventsDeadLetters"
  namespace         = "AWS/SQS"
  metric_name       = "ApproximateNumberOfMessagesVisible"
  dimensions = {
    QueueName = aws_sqs_queue.events_dlq.name
  }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "calls_dead_letters" {
  alarm_name        = "${var.name}-calls-dead-letters"
  alarm_description = "Messages that are no calls, or that no worker could finish. Runbook - CallsDeadLetters"
  namespace         = "AWS/SQS"
  metric_name       = "ApproximateNumberOfMessagesVisible"
  dimensions = {
    QueueName = aws_sqs_queue.calls_dlq.name
  }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "results_dead_letters" {
  alarm_name        = "${var.name}-results-dead-letters"
  alarm_description = "Outcomes that no automation could handle. Runbook - ResultsDeadLetters"
  namespace         = "AWS/SQS"
  metric_name       = "ApproximateNumberOfMessagesVisible"
  dimensions = {
    QueueName = aws_sqs_queue.results_dlq.name
  }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "refresh_dead_letters" {
  alarm_name        = "${var.name}-refresh-dead-letters"
  alarm_description = "Nudges, or new pairs of tokens, that could not be stored. Runbook - RefreshDeadLetters"
  namespace         = "AWS/SQS"
  metric_name       = "ApproximateNumberOfMessagesVisible"
  dimensions = {
    QueueName = aws_sqs_queue.refresh_dlq.name
  }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "events_wait" {
  alarm_name        = "${var.name}-events-wait"
  alarm_description = "An event has waited for an hour for an automation. Runbook - EventsWait"
  namespace         = "AWS/SQS"
  metric_name       = "ApproximateAgeOfOldestMessage"
  dimensions = {
    QueueName = aws_sqs_queue.events.name
  }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 3600
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "calls_wait" {
  alarm_name        = "${var.name}-calls-wait"
  alarm_description = "A call has waited for a quarter of an hour for a worker. Runbook - CallsWait"
  namespace         = "AWS/SQS"
  metric_name       = "ApproximateAgeOfOldestMessage"
  dimensions = {
    QueueName = aws_sqs_queue.calls.name
  }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 900
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "results_wait" {
  alarm_name        = "${var.name}-results-wait"
  alarm_description = "An outcome has waited for an hour for an automation. Runbook - ResultsWait"
  namespace         = "AWS/SQS"
  metric_name       = "ApproximateAgeOfOldestMessage"
  dimensions = {
    QueueName = aws_sqs_queue.results.name
  }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 3600
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "refresh_wait" {
  alarm_name        = "${var.name}-refresh-wait"
  alarm_description = "A nudge or a parked pair of tokens has waited for five minutes. Runbook - RefreshWait"
  namespace         = "AWS/SQS"
  metric_name       = "ApproximateAgeOfOldestMessage"
  dimensions = {
    QueueName = aws_sqs_queue.refresh.name
  }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 300
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "sweep_missing" {
  alarm_name        = "${var.name}-sweep-missing"
  alarm_description = "Nobody has looked for due tokens for ten minutes. Runbook - SweepMissing"
  namespace         = "Bucketwheel"
  metric_name       = "sweep"
  dimensions = {
    function = "${var.name}-token-refresh"
  }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 2
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "refresh_failing" {
  alarm_name        = "${var.name}-refresh-failing"
  alarm_description = "Tokens have not been refreshed for a quarter of an hour. Runbook - RefreshFailing"
  namespace         = "Bucketwheel"
  metric_name       = "refresh_transient"
  dimensions = {
    function = "${var.name}-token-refresh"
  }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "refresh_misconfigured" {
  alarm_name        = "${var.name}-refresh-misconfigured"
  alarm_description = "Tokens cannot be refreshed until a setting is mended. Runbook - RefreshMisconfigured"
  namespace         = "Bucketwheel"
  metric_name       = "refresh_misconfigured"
  dimensions = {
    function = "${var.name}-token-refresh"
  }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "chain_in_danger" {
  alarm_name        = "${var.name}-chain-in-danger"
  alarm_description = "A chain of tokens breaks soon unless a refresh succeeds. Runbook - ChainInDanger"
  namespace         = "Bucketwheel"
  metric_name       = "chain_endangered"
  dimensions = {
    function = "${var.name}-token-refresh"
  }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "token_expiring" {
  alarm_name        = "${var.name}-token-expiring"
  alarm_description = "A token that was made by hand expires within two weeks. Runbook - TokenExpiring"
  namespace         = "Bucketwheel"
  metric_name       = "token_expiring"
  dimensions = {
    function = "${var.name}-token-refresh"
  }
  statistic           = "Maximum"
  period              = 21600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "credential_down" {
  alarm_name        = "${var.name}-credential-down"
  alarm_description = "A credential went down and has to be connected again. Runbook - CredentialDown"
  namespace         = "Bucketwheel"
  metric_name       = "credential_down"
  dimensions = {
    function = "${var.name}-token-refresh"
  }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "ingest_unavailable" {
  alarm_name        = "${var.name}-ingest-unavailable"
  alarm_description = "Requests were answered 5xx; after three of them Bitbucket drops a delivery. Runbook - IngestUnavailable"
  namespace         = "AWS/ApiGateway"
  metric_name       = "5xx"
  dimensions = {
    ApiId = aws_apigatewayv2_api.api.id
  }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "deliveries_parked" {
  alarm_name        = "${var.name}-deliveries-parked"
  alarm_description = "Deliveries have waited in the table for five minutes. Runbook - DeliveriesParked"
  namespace         = "Bucketwheel"
  metric_name       = "drain_left"
  dimensions = {
    function = "${var.name}-webhook-ingest"
  }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "drain_missing" {
  alarm_name        = "${var.name}-drain-missing"
  alarm_description = "Nobody has looked for parked deliveries for ten minutes. Runbook - DrainMissing"
  namespace         = "Bucketwheel"
  metric_name       = "drain"
  dimensions = {
    function = "${var.name}-webhook-ingest"
  }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 2
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "budget_exhausted" {
  alarm_name        = "${var.name}-budget-exhausted"
  alarm_description = "Calls have waited for the hourly allowance for a quarter of an hour. Runbook - BudgetExhausted"
  namespace         = "Bucketwheel"
  metric_name       = "budget_exhausted"
  dimensions = {
    function = "${var.name}-api-worker"
  }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "missed_events" {
  alarm_name        = "${var.name}-missed-events"
  alarm_description = "Deliveries of Bitbucket never came, and were made up for. Runbook - MissedEvents"
  namespace         = "Bucketwheel"
  metric_name       = "event_missed"
  dimensions = {
    function = "${var.name}-api-worker"
  }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "gitops_dead_letters" {
  count             = var.gitops_sync == "on" ? 1 : 0
  alarm_name        = "${var.name}-gitops-dead-letters"
  alarm_description = "Pushes that gitops-sync could not note. Runbook - GitopsDeadLetters"
  namespace         = "AWS/SQS"
  metric_name       = "ApproximateNumberOfMessagesVisible"
  dimensions = {
    QueueName = aws_sqs_queue.gitops_dlq.name
  }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "changes_dead_letters" {
  count             = var.gitops_sync == "on" ? 1 : 0
  alarm_name        = "${var.name}-changes-dead-letters"
  alarm_description = "Changes that no automation could handle. Runbook - ChangesDeadLetters"
  namespace         = "AWS/SQS"
  metric_name       = "ApproximateNumberOfMessagesVisible"
  dimensions = {
    QueueName = aws_sqs_queue.changes_dlq.name
  }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "changes_wait" {
  count             = var.gitops_sync == "on" ? 1 : 0
  alarm_name        = "${var.name}-changes-wait"
  alarm_description = "Nobody has taken a change for an hour. Runbook - ChangesWait"
  namespace         = "AWS/SQS"
  metric_name       = "ApproximateAgeOfOldestMessage"
  dimensions = {
    QueueName = aws_sqs_queue.changes.name
  }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 3600
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "gitops_missing" {
  count             = var.gitops_sync == "on" ? 1 : 0
  alarm_name        = "${var.name}-gitops-missing"
  alarm_description = "gitops-sync has not run for ten minutes. Runbook - GitopsMissing"
  namespace         = "Bucketwheel"
  metric_name       = "gitops_run"
  dimensions = {
    function = "${var.name}-gitops-sync"
  }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 2
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "gitops_failing" {
  count             = var.gitops_sync == "on" ? 1 : 0
  alarm_name        = "${var.name}-gitops-failing"
  alarm_description = "Attachments could not be worked on for a quarter of an hour. Runbook - GitopsFailing"
  namespace         = "Bucketwheel"
  metric_name       = "gitops_failed"
  dimensions = {
    function = "${var.name}-gitops-sync"
  }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "gitops_trouble" {
  count             = var.gitops_sync == "on" ? 1 : 0
  alarm_name        = "${var.name}-gitops-trouble"
  alarm_description = "Steps of attachments have failed for an hour. Runbook - GitopsTrouble"
  namespace         = "Bucketwheel"
  metric_name       = "gitops_trouble"
  dimensions = {
    function = "${var.name}-gitops-sync"
  }
  statistic           = "Sum"
  period              = 1200
  evaluation_periods  = 3
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "ingest_throttled" {
  alarm_name        = "${var.name}-ingest-throttled"
  alarm_description = "Lambda had no room for deliveries. Runbook - IngestThrottled"
  namespace         = "AWS/Lambda"
  metric_name       = "Throttles"
  dimensions = {
    FunctionName = "${var.name}-webhook-ingest"
  }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_metric_alarm" "refresh_throttled" {
  alarm_name        = "${var.name}-refresh-throttled"
  alarm_description = "Lambda had no room for the sweep. Runbook - RefreshThrottled"
  namespace         = "AWS/Lambda"
  metric_name       = "Throttles"
  dimensions = {
    FunctionName = "${var.name}-token-refresh"
  }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 3
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic != "" ? [var.alarm_topic] : []
  ok_actions          = var.alarm_topic != "" ? [var.alarm_topic] : []
}

resource "aws_cloudwatch_dashboard" "dashboard" {
  dashboard_name = var.name
  dashboard_body = <<-EOT
{"widgets": [
  {"type": "metric", "x": 0, "y": 0, "width": 8, "height": 6, "properties": {"title": "Deliveries",
    "region": "${data.aws_region.current.region}", "view": "timeSeries", "stat": "Sum", "period": 300, "metrics": [
      ["Bucketwheel", "delivery_accepted", "function", "${var.name}-webhook-ingest"],
      ["Bucketwheel", "delivery_unasked", "function", "${var.name}-webhook-ingest"],
      ["Bucketwheel", "delivery_parked", "function", "${var.name}-webhook-ingest"],
      ["Bucketwheel", "delivery_filtered", "function", "${var.name}-webhook-ingest"],
      ["Bucketwheel", "delivery_unavailable", "function", "${var.name}-webhook-ingest"]]}},
  {"type": "metric", "x": 8, "y": 0, "width": 8, "height": 6, "properties": {"title": "Deliveries refused, by cause",
    "region": "${data.aws_region.current.region}", "view": "timeSeries", "stat": "Sum", "period": 300, "metrics": [
      ["Bucketwheel", "rejected_unsigned", "function", "${var.name}-webhook-ingest"],
      ["Bucketwheel", "rejected_signature", "function", "${var.name}-webhook-ingest"],
      ["Bucketwheel", "rejected_size", "function", "${var.name}-webhook-ingest"]]}},
  {"type": "metric", "x": 16, "y": 0, "width": 8, "height": 6, "properties": {"title": "Parked deliveries",
    "region": "${data.aws_region.current.region}", "view": "timeSeries", "stat": "Sum", "period": 300, "metrics": [
      ["Bucketwheel", "drain", "function", "${var.name}-webhook-ingest"],
      ["Bucketwheel", "drained", "function", "${var.name}-webhook-ingest"],
      ["Bucketwheel", "drain_left", "function", "${var.name}-webhook-ingest"]]}},
  {"type": "metric", "x": 0, "y": 6, "width": 8, "height": 6, "properties": {"title": "Age of the oldest message, seconds",
    "region": "${data.aws_region.current.region}", "view": "timeSeries", "stat": "Maximum", "period": 300, "metrics": [
      ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "${aws_sqs_queue.events.name}", {"label": "events"}],
      ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "${aws_sqs_queue.calls.name}", {"label": "calls"}],
      ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "${aws_sqs_queue.results.name}", {"label": "results"}],
      ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "${aws_sqs_queue.refresh.name}", {"label": "refresh"}],
      ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "${aws_sqs_queue.gitops.name}", {"label": "gitops"}],
      ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "${aws_sqs_queue.changes.name}", {"label": "changes"}]]}},
  {"type": "metric", "x": 8, "y": 6, "width": 8, "height": 6, "properties": {"title": "Messages that wait",
    "region": "${data.aws_region.current.region}", "view": "timeSeries", "stat": "Maximum", "period": 300, "metrics": [
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${aws_sqs_queue.events.name}", {"label": "events"}],
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${aws_sqs_queue.calls.name}", {"label": "calls"}],
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${aws_sqs_queue.results.name}", {"label": "results"}],
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${aws_sqs_queue.refresh.name}", {"label": "refresh"}]]}},
  {"type": "metric", "x": 16, "y": 6, "width": 8, "height": 6, "properties": {"title": "Dead letters",
    "region": "${data.aws_region.current.region}", "view": "timeSeries", "stat": "Maximum", "period": 300, "metrics": [
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${aws_sqs_queue.events_dlq.name}", {"label": "events"}],
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${aws_sqs_queue.calls_dlq.name}", {"label": "calls"}],
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${aws_sqs_queue.results_dlq.name}", {"label": "results"}],
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${aws_sqs_queue.refresh_dlq.name}", {"label": "refresh"}],
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${aws_sqs_queue.gitops_dlq.name}", {"label": "gitops"}],
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${aws_sqs_queue.changes_dlq.name}", {"label": "changes"}]]}},
  {"type": "metric", "x": 0, "y": 12, "width": 8, "height": 6, "properties": {"title": "Refreshes, by outcome",
    "region": "${data.aws_region.current.region}", "view": "timeSeries", "stat": "Sum", "period": 300, "metrics": [
      ["Bucketwheel", "refresh_rotated", "function", "${var.name}-token-refresh"],
      ["Bucketwheel", "refresh_transient", "function", "${var.name}-token-refresh"],
      ["Bucketwheel", "token_probed", "function", "${var.name}-token-refresh"],
      ["Bucketwheel", "refresh_contested", "function", "${var.name}-token-refresh"],
      ["Bucketwheel", "refresh_parked", "function", "${var.name}-token-refresh"],
      ["Bucketwheel", "refresh_suspect", "function", "${var.name}-token-refresh"],
      ["Bucketwheel", "refresh_revoked", "function", "${var.name}-token-refresh"],
      ["Bucketwheel", "refresh_misconfigured", "function", "${var.name}-token-refresh"],
      ["Bucketwheel", "refresh_held_back", "function", "${var.name}-token-refresh"]]}},
  {"type": "metric", "x": 8, "y": 12, "width": 8, "height": 6, "properties": {"title": "Chains to look after",
    "region": "${data.aws_region.current.region}", "view": "timeSeries", "stat": "Maximum", "period": 300, "metrics": [
      ["Bucketwheel", "open_intent", "function", "${var.name}-token-refresh"],
      ["Bucketwheel", "chain_endangered", "function", "${var.name}-token-refresh"],
      ["Bucketwheel", "chain_doubtful", "function", "${var.name}-token-refresh"],
      ["Bucketwheel", "token_expiring", "function", "${var.name}-token-refresh"]]}},
  {"type": "metric", "x": 16, "y": 12, "width": 8, "height": 6, "properties": {"title": "Credentials and sweeps",
    "region": "${data.aws_region.current.region}", "view": "timeSeries", "stat": "Sum", "period": 300, "metrics": [
      ["Bucketwheel", "credential_up", "function", "${var.name}-token-refresh"],
      ["Bucketwheel", "credential_degraded", "function", "${var.name}-token-refresh"],
      ["Bucketwheel", "credential_down", "function", "${var.name}-token-refresh"],
      ["Bucketwheel", "credential_disabled", "function", "${var.name}-token-refresh"],
      ["Bucketwheel", "sweep", "function", "${var.name}-token-refresh"],
      ["Bucketwheel", "sweep_cut_short", "function", "${var.name}-token-refresh"]]}},
  {"type": "metric", "x": 0, "y": 18, "width": 8, "height": 6, "properties": {"title": "Bitbucket's answers, by status",
    "region": "${data.aws_region.current.region}", "view": "timeSeries", "stat": "Sum", "period": 300, "metrics": [
      ["Bucketwheel", "answer_2xx", "function", "${var.name}-api-worker"],
      ["Bucketwheel", "answer_4xx", "function", "${var.name}-api-worker"],
      ["Bucketwheel", "answer_429", "function", "${var.name}-api-worker"],
      ["Bucketwheel", "answer_5xx", "function", "${var.name}-api-worker"],
      ["Bucketwheel", "answer_lost", "function", "${var.name}-api-worker"],
      ["Bucketwheel", "answer_unsent", "function", "${var.name}-api-worker"]]}},
  {"type": "metric", "x": 8, "y": 18, "width": 8, "height": 6, "properties": {"title": "Calls, by outcome",
    "region": "${data.aws_region.current.region}", "view": "timeSeries", "stat": "Sum", "period": 300, "metrics": [
      ["Bucketwheel", "call_succeeded", "function", "${var.name}-api-worker"],
      ["Bucketwheel", "call_failed", "function", "${var.name}-api-worker"],
      ["Bucketwheel", "call_unknown", "function", "${var.name}-api-worker"],
      ["Bucketwheel", "call_expired", "function", "${var.name}-api-worker"],
      ["Bucketwheel", "call_malformed", "function", "${var.name}-api-worker"]]}},
  {"type": "metric", "x": 16, "y": 18, "width": 8, "height": 6, "properties": {"title": "Hourly allowance",
    "region": "${data.aws_region.current.region}", "view": "timeSeries", "stat": "Minimum", "period": 300, "metrics": [
      ["Bucketwheel", "budget_left", "function", "${var.name}-api-worker", {"stat": "Minimum"}],
      ["Bucketwheel", "budget_exhausted", "function", "${var.name}-api-worker", {"stat": "Sum", "yAxis": "right"}]]}},
  {"type": "metric", "x": 0, "y": 30, "width": 8, "height": 6, "properties": {"title": "Missed events, if they are searched for",
    "region": "${data.aws_region.current.region}", "view": "timeSeries", "stat": "Sum", "period": 3600, "metrics": [
      ["Bucketwheel", "event_came", "function", "${var.name}-api-worker"],
      ["Bucketwheel", "event_missed", "function", "${var.name}-api-worker"],
      ["Bucketwheel", "event_late", "function", "${var.name}-api-worker"],
      ["Bucketwheel", "event_delay_seconds", "function", "${var.name}-api-worker", {"stat": "Maximum", "yAxis": "right"}]]}},
  {"type": "metric", "x": 8, "y": 30, "width": 8, "height": 6, "properties": {"title": "gitops-sync, if it is on",
    "region": "${data.aws_region.current.region}", "view": "timeSeries", "stat": "Sum", "period": 300, "metrics": [
      ["Bucketwheel", "gitops_run", "function", "${var.name}-gitops-sync"],
      ["Bucketwheel", "gitops_rested", "function", "${var.name}-gitops-sync"],
      ["Bucketwheel", "gitops_waiting", "function", "${var.name}-gitops-sync"],
      ["Bucketwheel", "gitops_failed", "function", "${var.name}-gitops-sync"],
      ["Bucketwheel", "gitops_trouble", "function", "${var.name}-gitops-sync"],
      ["Bucketwheel", "gitops_told", "function", "${var.name}-gitops-sync"]]}},
  {"type": "metric", "x": 0, "y": 24, "width": 8, "height": 6, "properties": {"title": "HTTP API",
    "region": "${data.aws_region.current.region}", "view": "timeSeries", "stat": "Sum", "period": 300, "metrics": [
      ["AWS/ApiGateway", "Count", "ApiId", "${aws_apigatewayv2_api.api.id}"],
      ["AWS/ApiGateway", "4xx", "ApiId", "${aws_apigatewayv2_api.api.id}"],
      ["AWS/ApiGateway", "5xx", "ApiId", "${aws_apigatewayv2_api.api.id}"]]}},
  {"type": "metric", "x": 8, "y": 24, "width": 8, "height": 6, "properties": {"title": "Functions: errors and throttles",
    "region": "${data.aws_region.current.region}", "view": "timeSeries", "stat": "Sum", "period": 300, "metrics": [
      ["AWS/Lambda", "Errors", "FunctionName", "${var.name}-webhook-ingest"],
      ["AWS/Lambda", "Throttles", "FunctionName", "${var.name}-webhook-ingest"],
      ["AWS/Lambda", "Errors", "FunctionName", "${var.name}-oauth-callback"],
      ["AWS/Lambda", "Throttles", "FunctionName", "${var.name}-oauth-callback"],
      ["AWS/Lambda", "Errors", "FunctionName", "${var.name}-token-refresh"],
      ["AWS/Lambda", "Throttles", "FunctionName", "${var.name}-token-refresh"],
      ["AWS/Lambda", "Errors", "FunctionName", "${var.name}-api-worker"],
      ["AWS/Lambda", "Throttles", "FunctionName", "${var.name}-api-worker"],
      ["AWS/Lambda", "Errors", "FunctionName", "${var.name}-console"],
      ["AWS/Lambda", "Throttles", "FunctionName", "${var.name}-console"]]}},
  {"type": "metric", "x": 16, "y": 24, "width": 8, "height": 6, "properties": {"title": "Functions: duration, milliseconds, 99 of 100 (drains included)",
    "region": "${data.aws_region.current.region}", "view": "timeSeries", "stat": "p99", "period": 300, "metrics": [
      ["AWS/Lambda", "Duration", "FunctionName", "${var.name}-webhook-ingest"],
      ["AWS/Lambda", "Duration", "FunctionName", "${var.name}-oauth-callback"],
      ["AWS/Lambda", "Duration", "FunctionName", "${var.name}-token-refresh"],
      ["AWS/Lambda", "Duration", "FunctionName", "${var.name}-api-worker"],
      ["AWS/Lambda", "Duration", "FunctionName", "${var.name}-console"]]}}
]}
  EOT
}
