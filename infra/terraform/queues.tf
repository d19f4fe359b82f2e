# Made by generate.py from template.yaml, where the reasons stand. Do not edit.

resource "aws_sqs_queue" "events" {
  name                        = "${var.name}-events.fifo"
  fifo_queue                  = true
  content_based_deduplication = false
  deduplication_scope         = "messageGroup"
  fifo_throughput_limit       = "perMessageGroupId"
  message_retention_seconds   = 1209600
  visibility_timeout_seconds  = 120
  sqs_managed_sse_enabled     = var.kms_key != "" ? null : true
  kms_master_key_id           = var.kms_key != "" ? var.kms_key : null
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.events_dlq.arn
    maxReceiveCount     = 10
  })
}

resource "aws_sqs_queue" "events_dlq" {
  name                      = "${var.name}-events-dlq.fifo"
  fifo_queue                = true
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = var.kms_key != "" ? null : true
  kms_master_key_id         = var.kms_key != "" ? var.kms_key : null
}

resource "aws_sqs_queue" "calls" {
  name                       = "${var.name}-calls"
  message_retention_seconds  = 1209600
  visibility_timeout_seconds = 360
  sqs_managed_sse_enabled    = var.kms_key != "" ? null : true
  kms_master_key_id          = var.kms_key != "" ? var.kms_key : null
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.calls_dlq.arn
    maxReceiveCount     = 50
  })
}

resource "aws_sqs_queue" "calls_dlq" {
  name                      = "${var.name}-calls-dlq"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = var.kms_key != "" ? null : true
  kms_master_key_id         = var.kms_key != "" ? var.kms_key : null
}

resource "aws_sqs_queue" "results" {
  name                       = "${var.name}-results"
  message_retention_seconds  = 1209600
  visibility_timeout_seconds = 120
  sqs_managed_sse_enabled    = var.kms_key != "" ? null : true
  kms_master_key_id          = var.kms_key != "" ? var.kms_key : null
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.results_dlq.arn
    maxReceiveCount     = 10
  })
}

resource "aws_sqs_queue" "results_dlq" {
  name                      = "${var.name}-results-dlq"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = var.kms_key != "" ? null : true
  kms_master_key_id         = var.kms_key != "" ? var.kms_key : null
}

resource "aws_sqs_queue" "refresh" {
  name                       = "${var.name}-refresh"
  message_retention_seconds  = 1209600
  visibility_timeout_seconds = 720
  sqs_managed_sse_enabled    = var.kms_key != "" ? null : true
  kms_master_key_id          = var.kms_key != "" ? var.kms_key : null
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.refresh_dlq.arn
    maxReceiveCount     = 10
  })
}

resource "aws_sqs_queue" "refresh_dlq" {
  name                      = "${var.name}-refresh-dlq"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = var.kms_key != "" ? null : true
  kms_master_key_id         = var.kms_key != "" ? var.kms_key : null
}

resource "aws_sqs_queue" "gitops" {
  name                        = "${var.name}-gitops.fifo"
  fifo_queue                  = true
  content_based_deduplication = false
  deduplication_scope         = "messageGroup"
  fifo_throughput_limit       = "perMessageGroupId"
  message_retention_seconds   = 1209600
  visibility_timeout_seconds  = 360
  sqs_managed_sse_enabled     = var.kms_key != "" ? null : true
  kms_master_key_id           = var.kms_key != "" ? var.kms_key : null
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.gitops_dlq.arn
    maxReceiveCount     = 10
  })
}

resource "aws_sqs_queue" "gitops_dlq" {
  name                      = "${var.name}-gitops-dlq.fifo"
  fifo_queue                = true
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = var.kms_key != "" ? null : true
  kms_master_key_id         = var.kms_key != "" ? var.kms_key : null
}

resource "aws_sqs_queue" "changes" {
  name                        = "${var.name}-changes.fifo"
  fifo_queue                  = true
  content_based_deduplication = false
  deduplication_scope         = "messageGroup"
  fifo_throughput_limit       = "perMessageGroupId"
  message_retention_seconds   = 1209600
  visibility_timeout_seconds  = 120
  sqs_managed_sse_enabled     = var.kms_key != "" ? null : true
  kms_master_key_id           = var.kms_key != "" ? var.kms_key : null
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.changes_dlq.arn
    maxReceiveCount     = 10
  })
}

resource "aws_sqs_queue" "changes_dlq" {
  name                      = "${var.name}-changes-dlq.fifo"
  fifo_queue                = true
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = var.kms_key != "" ? null : true
  kms_master_key_id         = var.kms_key != "" ? var.kms_key : null
}
