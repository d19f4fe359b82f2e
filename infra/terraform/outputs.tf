# Made by generate.py from template.yaml, where the reasons stand. Do not edit.

output "api_url" {
  value       = aws_apigatewayv2_api.api.api_endpoint
  description = "The HTTP API's own address"
}

output "api_id" {
  value = aws_apigatewayv2_api.api.id
}

output "public_url" {
  value       = var.public_url != "" ? var.public_url : aws_apigatewayv2_api.api.api_endpoint
  description = "Where people and Bitbucket find this installation"
}

output "domain_target" {
  value       = var.certificate_arn != "" ? aws_apigatewayv2_domain_name.domain[0].domain_name_configuration[0].target_domain_name : null
  description = "Point your domain here, by an alias or CNAME record"
}

output "callback_url" {
  value       = "${var.public_url != "" ? var.public_url : aws_apigatewayv2_api.api.api_endpoint}/oauth/callback"
  description = "The callback URL to register with the OAuth consumer at Bitbucket"
}

output "events_queue_url" {
  value       = aws_sqs_queue.events.url
  description = "Where your automations receive events (FIFO)"
}

output "events_queue_arn" {
  value       = aws_sqs_queue.events.arn
  description = "For infra/stacks/fanout.yaml"
}

output "calls_queue_url" {
  value       = aws_sqs_queue.calls.url
  description = "Where your automations send API calls"
}

output "calls_dlq_url" {
  value       = aws_sqs_queue.calls_dlq.url
  description = "Where messages end that are no calls, with the cause as an attribute"
}

output "results_queue_url" {
  value       = aws_sqs_queue.results.url
  description = "Where your automations receive the outcomes of calls"
}

output "changes_queue_url" {
  value       = aws_sqs_queue.changes.url
  description = "Where your automations receive what people changed in the folders of clusters (FIFO)"
}

output "gitops_queue_url" {
  value = aws_sqs_queue.gitops.url
}

output "refresh_queue_url" {
  value = aws_sqs_queue.refresh.url
}

output "table_name" {
  value = aws_dynamodb_table.table.name
}

output "bitbucket_url" {
  value = var.bitbucket_url
}

output "app_secret_name" {
  value       = aws_secretsmanager_secret.app_secret.arn
  description = "The secret with the OAuth consumer's key and secret"
}

output "operator_secret_name" {
  value       = aws_secretsmanager_secret.operator_secret.arn
  description = "The secret whose token opens the console"
}

output "hook_keyring_name" {
  value = aws_secretsmanager_secret.hook_keyring.arn
}

output "access_keyring_name" {
  value = aws_secretsmanager_secret.access_keyring.arn
}

output "refresh_keyring_name" {
  value = aws_secretsmanager_secret.refresh_keyring.arn
}
