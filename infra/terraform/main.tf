# Made by generate.py from template.yaml, where the reasons stand. Do not edit.

resource "aws_iam_role_policy" "tracing_policy" {
  for_each = var.tracing == "Active" ? {
    webhook_ingest_role = aws_iam_role.webhook_ingest_role.name
    oauth_callback_role = aws_iam_role.oauth_callback_role.name
    token_refresh_role  = aws_iam_role.token_refresh_role.name
    api_worker_role     = aws_iam_role.api_worker_role.name
    console_role        = aws_iam_role.console_role.name
    gitops_syncer_role  = aws_iam_role.gitops_syncer_role.name
  } : {}
  name = "tracing"
  role = each.value
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
        Resource = "*"
      },
    ]
  })
}

resource "aws_iam_role_policy" "key_policy" {
  for_each = var.kms_key != "" ? {
    webhook_ingest_role = aws_iam_role.webhook_ingest_role.name
    oauth_callback_role = aws_iam_role.oauth_callback_role.name
    token_refresh_role  = aws_iam_role.token_refresh_role.name
    api_worker_role     = aws_iam_role.api_worker_role.name
    console_role        = aws_iam_role.console_role.name
    gitops_syncer_role  = aws_iam_role.gitops_syncer_role.name
  } : {}
  name = "key"
  role = each.value
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.kms_key
        Condition = {
          StringLike = {
            "kms:ViaService" = [
              "dynamodb.${data.aws_region.current.region}.*",
              "sqs.${data.aws_region.current.region}.*",
              "secretsmanager.${data.aws_region.current.region}.*",
            ]
          }
        }
      },
    ]
  })
}

resource "aws_apigatewayv2_api" "api" {
  name          = var.name
  protocol_type = "HTTP"
  description   = "Webhooks, connecting and the console of Bucketwheel"
}

resource "aws_apigatewayv2_stage" "api_stage" {
  api_id      = aws_apigatewayv2_api.api.id
  name        = "$default"
  auto_deploy = true
}

resource "aws_apigatewayv2_domain_name" "domain" {
  count       = var.certificate_arn != "" ? 1 : 0
  domain_name = split("/", var.public_url)[2]

  domain_name_configuration {
    certificate_arn = var.certificate_arn
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
  }
}

resource "aws_apigatewayv2_api_mapping" "domain_mapping" {
  count       = var.certificate_arn != "" ? 1 : 0
  api_id      = aws_apigatewayv2_api.api.id
  domain_name = aws_apigatewayv2_domain_name.domain[0].domain_name
  stage       = aws_apigatewayv2_stage.api_stage.id
}

resource "aws_iam_role" "webhook_ingest_role" {
  name = "${var.name}-webhook-ingest-role"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Service = "lambda.amazonaws.com"
        }
        Action = "sts:AssumeRole"
      },
    ]
  })
}

resource "aws_iam_role_policy" "webhook_ingest_role" {
  name = "webhook-ingest"
  role = aws_iam_role.webhook_ingest_role.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.webhook_ingest_logs.arn}:*"
      },
      {
        Effect = "Allow"
        Action = [
          "dynamodb:GetItem",
          "dynamodb:PutItem",
          "dynamodb:UpdateItem",
          "dynamodb:DeleteItem",
          "dynamodb:Query",
        ]
        Resource = aws_dynamodb_table.table.arn
      },
      {
        Effect   = "Allow"
        Action   = "dynamodb:Query"
        Resource = "${aws_dynamodb_table.table.arn}/index/listing"
      },
      {
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = [aws_sqs_queue.events.arn, aws_sqs_queue.gitops.arn]
      },
      {
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = aws_secretsmanager_secret.hook_keyring.arn
      },
    ]
  })
}

resource "aws_cloudwatch_log_group" "webhook_ingest_logs" {
  name              = "/aws/lambda/${var.name}-webhook-ingest"
  retention_in_days = var.log_retention_days
}

resource "aws_apigatewayv2_integration" "webhook_ingest_integration" {
  api_id                 = aws_apigatewayv2_api.api.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.webhook_ingest.invoke_arn
  payload_format_version = "2.0"
  timeout_milliseconds   = 9000
}

resource "aws_lambda_permission" "webhook_ingest_permission" {
  function_name = aws_lambda_function.webhook_ingest.function_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "arn:${data.aws_partition.current.partition}:execute-api:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:${aws_apigatewayv2_api.api.id}/*"
}

resource "aws_apigatewayv2_route" "delivery_route" {
  api_id    = aws_apigatewayv2_api.api.id
  route_key = "POST /webhooks/bitbucket-cloud/{credential_id}"
  target    = "integrations/${aws_apigatewayv2_integration.webhook_ingest_integration.id}"
}

resource "aws_iam_role" "oauth_callback_role" {
  name = "${var.name}-oauth-callback-role"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Service = "lambda.amazonaws.com"
        }
        Action = "sts:AssumeRole"
      },
    ]
  })
}

resource "aws_iam_role_policy" "oauth_callback_role" {
  name = "oauth-callback"
  role = aws_iam_role.oauth_callback_role.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.oauth_callback_logs.arn}:*"
      },
      {
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"]
        Resource = aws_dynamodb_table.table.arn
      },
      {
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = aws_sqs_queue.calls.arn
      },
      {
        Effect = "Allow"
        Action = "secretsmanager:GetSecretValue"
        Resource = [
          aws_secretsmanager_secret.access_keyring.arn,
          aws_secretsmanager_secret.refresh_keyring.arn,
          aws_secretsmanager_secret.app_secret.arn,
        ]
      },
    ]
  })
}

resource "aws_cloudwatch_log_group" "oauth_callback_logs" {
  name              = "/aws/lambda/${var.name}-oauth-callback"
  retention_in_days = var.log_retention_days
}

resource "aws_apigatewayv2_integration" "oauth_callback_integration" {
  api_id                 = aws_apigatewayv2_api.api.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.oauth_callback.invoke_arn
  payload_format_version = "2.0"
}

resource "aws_lambda_permission" "oauth_callback_permission" {
  function_name = aws_lambda_function.oauth_callback.function_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "arn:${data.aws_partition.current.partition}:execute-api:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:${aws_apigatewayv2_api.api.id}/*"
}

resource "aws_apigatewayv2_route" "connect_route" {
  api_id    = aws_apigatewayv2_api.api.id
  route_key = "GET /connect/{link}"
  target    = "integrations/${aws_apigatewayv2_integration.oauth_callback_integration.id}"
}

resource "aws_apigatewayv2_route" "enter_token_route" {
  api_id    = aws_apigatewayv2_api.api.id
  route_key = "POST /connect/{link}"
  target    = "integrations/${aws_apigatewayv2_integration.oauth_callback_integration.id}"
}

resource "aws_apigatewayv2_route" "callback_route" {
  api_id    = aws_apigatewayv2_api.api.id
  route_key = "GET /oauth/callback"
  target    = "integrations/${aws_apigatewayv2_integration.oauth_callback_integration.id}"
}

resource "aws_iam_role" "token_refresh_role" {
  name = "${var.name}-token-refresh-role"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Service = "lambda.amazonaws.com"
        }
        Action = "sts:AssumeRole"
      },
    ]
  })
}

resource "aws_iam_role_policy" "token_refresh_role" {
  name = "token-refresh"
  role = aws_iam_role.token_refresh_role.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.token_refresh_logs.arn}:*"
      },
      {
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
        Resource = aws_dynamodb_table.table.arn
      },
      {
        Effect   = "Allow"
        Action   = "dynamodb:Query"
        Resource = "${aws_dynamodb_table.table.arn}/index/due"
      },
      {
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = [aws_sqs_queue.events.arn, aws_sqs_queue.refresh.arn]
      },
      {
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
        Resource = aws_sqs_queue.refresh.arn
      },
      {
        Effect = "Allow"
        Action = "secretsmanager:GetSecretValue"
        Resource = [
          aws_secretsmanager_secret.access_keyring.arn,
          aws_secretsmanager_secret.refresh_keyring.arn,
          aws_secretsmanager_secret.app_secret.arn,
        ]
      },
    ]
  })
}

resource "aws_cloudwatch_log_group" "token_refresh_logs" {
  name              = "/aws/lambda/${var.name}-token-refresh"
  retention_in_days = var.log_retention_days
}

resource "aws_iam_role" "api_worker_role" {
  name = "${var.name}-api-worker-role"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Service = "lambda.amazonaws.com"
        }
        Action = "sts:AssumeRole"
      },
    ]
  })
}

resource "aws_iam_role_policy" "api_worker_role" {
  name = "api-worker"
  role = aws_iam_role.api_worker_role.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.api_worker_logs.arn}:*"
      },
      {
        Effect = "Allow"
        Action = [
          "dynamodb:GetItem",
          "dynamodb:PutItem",
          "dynamodb:UpdateItem",
          "dynamodb:DeleteItem",
          "dynamodb:BatchWriteItem",
          "dynamodb:Query",
        ]
        Resource = aws_dynamodb_table.table.arn
      },
      {
        Effect   = "Allow"
        Action   = "dynamodb:Query"
        Resource = "${aws_dynamodb_table.table.arn}/index/listing"
      },
      {
        Effect = "Allow"
        Action = [
          "sqs:ReceiveMessage",
          "sqs:DeleteMessage",
          "sqs:GetQueueAttributes",
          "sqs:ChangeMessageVisibility",
        ]
        Resource = aws_sqs_queue.calls.arn
      },
      {
        Effect = "Allow"
        Action = "sqs:SendMessage"
        Resource = [
          aws_sqs_queue.calls.arn,
          aws_sqs_queue.events.arn,
          aws_sqs_queue.results.arn,
          aws_sqs_queue.refresh.arn,
          aws_sqs_queue.calls_dlq.arn,
        ]
      },
      {
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = [aws_secretsmanager_secret.access_keyring.arn, aws_secretsmanager_secret.hook_keyring.arn]
      },
    ]
  })
}

resource "aws_cloudwatch_log_group" "api_worker_logs" {
  name              = "/aws/lambda/${var.name}-api-worker"
  retention_in_days = var.log_retention_days
}

resource "aws_iam_role" "gitops_syncer_role" {
  name = "${var.name}-gitops-syncer-role"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Service = "lambda.amazonaws.com"
        }
        Action = "sts:AssumeRole"
      },
    ]
  })
}

resource "aws_iam_role_policy" "gitops_syncer_role" {
  name = "gitops-sync"
  role = aws_iam_role.gitops_syncer_role.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.gitops_syncer_logs.arn}:*"
      },
      {
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:Query"]
        Resource = aws_dynamodb_table.table.arn
      },
      {
        Effect   = "Allow"
        Action   = "dynamodb:Query"
        Resource = "${aws_dynamodb_table.table.arn}/index/due"
      },
      {
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
        Resource = aws_sqs_queue.gitops.arn
      },
      {
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = [aws_sqs_queue.calls.arn, aws_sqs_queue.changes.arn]
      },
    ]
  })
}

resource "aws_cloudwatch_log_group" "gitops_syncer_logs" {
  name              = "/aws/lambda/${var.name}-gitops-sync"
  retention_in_days = var.log_retention_days
}

resource "aws_iam_role" "console_role" {
  name = "${var.name}-console-role"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Service = "lambda.amazonaws.com"
        }
        Action = "sts:AssumeRole"
      },
    ]
  })
}

resource "aws_iam_role_policy" "console_role" {
  name = "console"
  role = aws_iam_role.console_role.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.console_logs.arn}:*"
      },
      {
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query"]
        Resource = aws_dynamodb_table.table.arn
      },
      {
        Effect = "Allow"
        Action = "dynamodb:Query"
        Resource = [
          "${aws_dynamodb_table.table.arn}/index/listing",
          "${aws_dynamodb_table.table.arn}/index/recent",
        ]
      },
      {
        Effect = "Allow"
        Action = ["sqs:SendMessage", "sqs:GetQueueAttributes"]
        Resource = [
          aws_sqs_queue.events.arn,
          aws_sqs_queue.calls.arn,
          aws_sqs_queue.results.arn,
          aws_sqs_queue.refresh.arn,
          aws_sqs_queue.gitops.arn,
          aws_sqs_queue.changes.arn,
        ]
      },
      {
        Effect = "Allow"
        Action = [
          "sqs:ReceiveMessage",
          "sqs:DeleteMessage",
          "sqs:ChangeMessageVisibility",
          "sqs:GetQueueAttributes",
        ]
        Resource = [
          aws_sqs_queue.events_dlq.arn,
          aws_sqs_queue.calls_dlq.arn,
          aws_sqs_queue.results_dlq.arn,
          aws_sqs_queue.refresh_dlq.arn,
          aws_sqs_queue.gitops_dlq.arn,
          aws_sqs_queue.changes_dlq.arn,
        ]
      },
      {
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = aws_secretsmanager_secret.operator_secret.arn
      },
    ]
  })
}

resource "aws_cloudwatch_log_group" "console_logs" {
  name              = "/aws/lambda/${var.name}-console"
  retention_in_days = var.log_retention_days
}

resource "aws_apigatewayv2_integration" "console_integration" {
  api_id                 = aws_apigatewayv2_api.api.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.console.invoke_arn
  payload_format_version = "2.0"
}

resource "aws_lambda_permission" "console_permission" {
  function_name = aws_lambda_function.console.function_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "arn:${data.aws_partition.current.partition}:execute-api:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:${aws_apigatewayv2_api.api.id}/*"
}

resource "aws_apigatewayv2_authorizer" "operator_authorizer" {
  count            = var.oidc_issuer != "" ? 1 : 0
  api_id           = aws_apigatewayv2_api.api.id
  name             = "operator"
  authorizer_type  = "JWT"
  identity_sources = ["$request.header.${var.oidc_header}"]

  jwt_configuration {
    issuer   = var.oidc_issuer
    audience = [var.oidc_audience]
  }
}

resource "aws_apigatewayv2_route" "home_route" {
  api_id             = aws_apigatewayv2_api.api.id
  route_key          = "GET /"
  target             = "integrations/${aws_apigatewayv2_integration.console_integration.id}"
  authorization_type = var.oidc_issuer != "" ? "JWT" : "NONE"
  authorizer_id      = var.oidc_issuer != "" ? aws_apigatewayv2_authorizer.operator_authorizer[0].id : null
}

resource "aws_apigatewayv2_route" "login_page_route" {
  api_id             = aws_apigatewayv2_api.api.id
  route_key          = "GET /login"
  target             = "integrations/${aws_apigatewayv2_integration.console_integration.id}"
  authorization_type = var.oidc_issuer != "" ? "JWT" : "NONE"
  authorizer_id      = var.oidc_issuer != "" ? aws_apigatewayv2_authorizer.operator_authorizer[0].id : null
}

resource "aws_apigatewayv2_route" "login_route" {
  api_id             = aws_apigatewayv2_api.api.id
  route_key          = "POST /login"
  target             = "integrations/${aws_apigatewayv2_integration.console_integration.id}"
  authorization_type = var.oidc_issuer != "" ? "JWT" : "NONE"
  authorizer_id      = var.oidc_issuer != "" ? aws_apigatewayv2_authorizer.operator_authorizer[0].id : null
}

resource "aws_apigatewayv2_route" "logout_route" {
  api_id             = aws_apigatewayv2_api.api.id
  route_key          = "POST /logout"
  target             = "integrations/${aws_apigatewayv2_integration.console_integration.id}"
  authorization_type = var.oidc_issuer != "" ? "JWT" : "NONE"
  authorizer_id      = var.oidc_issuer != "" ? aws_apigatewayv2_authorizer.operator_authorizer[0].id : null
}

resource "aws_apigatewayv2_route" "credentials_route" {
  api_id             = aws_apigatewayv2_api.api.id
  route_key          = "ANY /credentials"
  target             = "integrations/${aws_apigatewayv2_integration.console_integration.id}"
  authorization_type = var.oidc_issuer != "" ? "JWT" : "NONE"
  authorizer_id      = var.oidc_issuer != "" ? aws_apigatewayv2_authorizer.operator_authorizer[0].id : null
}

resource "aws_apigatewayv2_route" "credential_route" {
  api_id             = aws_apigatewayv2_api.api.id
  route_key          = "ANY /credentials/{proxy+}"
  target             = "integrations/${aws_apigatewayv2_integration.console_integration.id}"
  authorization_type = var.oidc_issuer != "" ? "JWT" : "NONE"
  authorizer_id      = var.oidc_issuer != "" ? aws_apigatewayv2_authorizer.operator_authorizer[0].id : null
}

resource "aws_apigatewayv2_route" "queues_route" {
  api_id             = aws_apigatewayv2_api.api.id
  route_key          = "ANY /queues"
  target             = "integrations/${aws_apigatewayv2_integration.console_integration.id}"
  authorization_type = var.oidc_issuer != "" ? "JWT" : "NONE"
  authorizer_id      = var.oidc_issuer != "" ? aws_apigatewayv2_authorizer.operator_authorizer[0].id : null
}

resource "aws_apigatewayv2_route" "queue_route" {
  api_id             = aws_apigatewayv2_api.api.id
  route_key          = "ANY /queues/{proxy+}"
  target             = "integrations/${aws_apigatewayv2_integration.console_integration.id}"
  authorization_type = var.oidc_issuer != "" ? "JWT" : "NONE"
  authorizer_id      = var.oidc_issuer != "" ? aws_apigatewayv2_authorizer.operator_authorizer[0].id : null
}

resource "aws_apigatewayv2_route" "calls_page_route" {
  api_id             = aws_apigatewayv2_api.api.id
  route_key          = "ANY /calls"
  target             = "integrations/${aws_apigatewayv2_integration.console_integration.id}"
  authorization_type = var.oidc_issuer != "" ? "JWT" : "NONE"
  authorizer_id      = var.oidc_issuer != "" ? aws_apigatewayv2_authorizer.operator_authorizer[0].id : null
}

resource "aws_apigatewayv2_route" "call_page_route" {
  api_id             = aws_apigatewayv2_api.api.id
  route_key          = "ANY /calls/{proxy+}"
  target             = "integrations/${aws_apigatewayv2_integration.console_integration.id}"
  authorization_type = var.oidc_issuer != "" ? "JWT" : "NONE"
  authorizer_id      = var.oidc_issuer != "" ? aws_apigatewayv2_authorizer.operator_authorizer[0].id : null
}

resource "aws_apigatewayv2_route" "json_route" {
  api_id             = aws_apigatewayv2_api.api.id
  route_key          = "ANY /api/{proxy+}"
  target             = "integrations/${aws_apigatewayv2_integration.console_integration.id}"
  authorization_type = var.oidc_issuer != "" ? "JWT" : "NONE"
  authorizer_id      = var.oidc_issuer != "" ? aws_apigatewayv2_authorizer.operator_authorizer[0].id : null
}

resource "aws_apigatewayv2_route" "asset_route" {
  api_id             = aws_apigatewayv2_api.api.id
  route_key          = "GET /assets/{proxy+}"
  target             = "integrations/${aws_apigatewayv2_integration.console_integration.id}"
  authorization_type = var.oidc_issuer != "" ? "JWT" : "NONE"
  authorizer_id      = var.oidc_issuer != "" ? aws_apigatewayv2_authorizer.operator_authorizer[0].id : null
}

resource "aws_lambda_function" "webhook_ingest" {
  filename                       = "${var.packages}/webhook-ingest.zip"
  source_code_hash               = filebase64sha256("${var.packages}/webhook-ingest.zip")
  description                    = "Verifies a webhook delivery and puts it on the events queue"
  function_name                  = "${var.name}-webhook-ingest"
  handler                        = "bootstrap"
  memory_size                    = 256
  role                           = aws_iam_role.webhook_ingest_role.arn
  runtime                        = "provided.al2023"
  timeout                        = 60
  reserved_concurrent_executions = var.ingest_concurrency != 0 ? var.ingest_concurrency : null
  architectures                  = [var.architecture]

  environment {
    variables = {
      BUCKETWHEEL_LOG           = var.log_level
      BUCKETWHEEL_TABLE         = aws_dynamodb_table.table.name
      BUCKETWHEEL_EVENTS_QUEUE  = aws_sqs_queue.events.url
      BUCKETWHEEL_GITOPS_QUEUE  = var.gitops_sync == "on" ? aws_sqs_queue.gitops.url : ""
      BUCKETWHEEL_HOOK_KEYRING  = aws_secretsmanager_secret.hook_keyring.arn
      BUCKETWHEEL_DETECT_MISSED = var.detect_missed
    }
  }

  tracing_config {
    mode = var.tracing
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.webhook_ingest_logs.name
  }
}

resource "aws_lambda_function_event_invoke_config" "webhook_ingest_event_invoke_config" {
  function_name                = aws_lambda_function.webhook_ingest.function_name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0
  qualifier                    = "$LATEST"
}

resource "aws_scheduler_schedule" "webhook_ingest_drain" {
  schedule_expression = "rate(1 minute)"
  name                = "${var.name}-drain"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.webhook_ingest.arn
    role_arn = aws_iam_role.webhook_ingest_drain_role.arn

    retry_policy {
      maximum_retry_attempts       = 0
      maximum_event_age_in_seconds = 60
    }
  }
}

resource "aws_iam_role" "webhook_ingest_drain_role" {
  name = "${var.name}-webhook-ingest-drain-role"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Action = ["sts:AssumeRole"]
        Effect = "Allow"
        Principal = {
          Service = ["scheduler.amazonaws.com"]
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "webhook_ingest_drain_role" {
  name = "WebhookIngestDrainLambdaPolicy"
  role = aws_iam_role.webhook_ingest_drain_role.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Action   = "lambda:InvokeFunction"
        Effect   = "Allow"
        Resource = aws_lambda_function.webhook_ingest.arn
      },
    ]
  })
}

resource "aws_lambda_function" "oauth_callback" {
  filename         = "${var.packages}/oauth-callback.zip"
  source_code_hash = filebase64sha256("${var.packages}/oauth-callback.zip")
  description      = "Begins and completes a connect"
  function_name    = "${var.name}-oauth-callback"
  handler          = "bootstrap"
  memory_size      = 256
  role             = aws_iam_role.oauth_callback_role.arn
  runtime          = "provided.al2023"
  timeout          = 29
  architectures    = [var.architecture]

  environment {
    variables = {
      BUCKETWHEEL_LOG               = var.log_level
      BUCKETWHEEL_TABLE             = aws_dynamodb_table.table.name
      BUCKETWHEEL_CALLS_QUEUE       = aws_sqs_queue.calls.url
      BUCKETWHEEL_ACCESS_KEYRING    = aws_secretsmanager_secret.access_keyring.arn
      BUCKETWHEEL_REFRESH_KEYRING   = aws_secretsmanager_secret.refresh_keyring.arn
      BUCKETWHEEL_APP_SECRET        = aws_secretsmanager_secret.app_secret.arn
      BUCKETWHEEL_PUBLIC_URL        = var.public_url != "" ? var.public_url : aws_apigatewayv2_api.api.api_endpoint
      BUCKETWHEEL_BITBUCKET_URL     = var.bitbucket_url
      BUCKETWHEEL_BITBUCKET_API_URL = var.bitbucket_api_url
    }
  }

  tracing_config {
    mode = var.tracing
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.oauth_callback_logs.name
  }
}

resource "aws_lambda_function" "token_refresh" {
  filename         = "${var.packages}/token-refresh.zip"
  source_code_hash = filebase64sha256("${var.packages}/token-refresh.zip")
  description      = "Keeps every token alive"
  function_name    = "${var.name}-token-refresh"
  handler          = "bootstrap"
  memory_size      = 256
  role             = aws_iam_role.token_refresh_role.arn
  runtime          = "provided.al2023"
  timeout          = 120
  architectures    = [var.architecture]

  environment {
    variables = {
      BUCKETWHEEL_LOG               = var.log_level
      BUCKETWHEEL_TABLE             = aws_dynamodb_table.table.name
      BUCKETWHEEL_EVENTS_QUEUE      = aws_sqs_queue.events.url
      BUCKETWHEEL_REFRESH_QUEUE     = aws_sqs_queue.refresh.url
      BUCKETWHEEL_ACCESS_KEYRING    = aws_secretsmanager_secret.access_keyring.arn
      BUCKETWHEEL_REFRESH_KEYRING   = aws_secretsmanager_secret.refresh_keyring.arn
      BUCKETWHEEL_APP_SECRET        = aws_secretsmanager_secret.app_secret.arn
      BUCKETWHEEL_PUBLIC_URL        = var.public_url != "" ? var.public_url : aws_apigatewayv2_api.api.api_endpoint
      BUCKETWHEEL_BITBUCKET_URL     = var.bitbucket_url
      BUCKETWHEEL_BITBUCKET_API_URL = var.bitbucket_api_url
      BUCKETWHEEL_CALLS_PER_HOUR    = var.calls_per_hour
      BUCKETWHEEL_GRACE_WINDOW      = var.grace_window
      BUCKETWHEEL_LOCKOUT           = var.lockout_wait
    }
  }

  tracing_config {
    mode = var.tracing
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.token_refresh_logs.name
  }
}

resource "aws_lambda_event_source_mapping" "token_refresh_nudge" {
  batch_size              = 10
  event_source_arn        = aws_sqs_queue.refresh.arn
  function_name           = aws_lambda_function.token_refresh.function_name
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 2
  }
}

resource "aws_scheduler_schedule" "token_refresh_sweep" {
  schedule_expression = var.refresh_schedule
  name                = "${var.name}-sweep"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.token_refresh.arn
    role_arn = aws_iam_role.token_refresh_sweep_role.arn

    retry_policy {
      maximum_retry_attempts       = 0
      maximum_event_age_in_seconds = 60
    }
  }
}

resource "aws_iam_role" "token_refresh_sweep_role" {
  name = "${var.name}-token-refresh-sweep-role"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Action = ["sts:AssumeRole"]
        Effect = "Allow"
        Principal = {
          Service = ["scheduler.amazonaws.com"]
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "token_refresh_sweep_role" {
  name = "TokenRefreshSweepLambdaPolicy"
  role = aws_iam_role.token_refresh_sweep_role.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Action   = "lambda:InvokeFunction"
        Effect   = "Allow"
        Resource = aws_lambda_function.token_refresh.arn
      },
    ]
  })
}

resource "aws_lambda_function" "api_worker" {
  filename         = "${var.packages}/api-worker.zip"
  source_code_hash = filebase64sha256("${var.packages}/api-worker.zip")
  description      = "Executes Bitbucket API calls"
  function_name    = "${var.name}-api-worker"
  handler          = "bootstrap"
  memory_size      = 256
  role             = aws_iam_role.api_worker_role.arn
  runtime          = "provided.al2023"
  timeout          = 60
  architectures    = [var.architecture]

  environment {
    variables = {
      BUCKETWHEEL_LOG                   = var.log_level
      BUCKETWHEEL_TABLE                 = aws_dynamodb_table.table.name
      BUCKETWHEEL_CALLS_QUEUE           = aws_sqs_queue.calls.url
      BUCKETWHEEL_CALLS_DLQ             = aws_sqs_queue.calls_dlq.url
      BUCKETWHEEL_RESULTS_QUEUE         = aws_sqs_queue.results.url
      BUCKETWHEEL_EVENTS_QUEUE          = var.detect_missed == "on" ? aws_sqs_queue.events.url : ""
      BUCKETWHEEL_REFRESH_QUEUE         = aws_sqs_queue.refresh.url
      BUCKETWHEEL_ACCESS_KEYRING        = aws_secretsmanager_secret.access_keyring.arn
      BUCKETWHEEL_HOOK_KEYRING          = aws_secretsmanager_secret.hook_keyring.arn
      BUCKETWHEEL_PUBLIC_URL            = var.public_url != "" ? var.public_url : aws_apigatewayv2_api.api.api_endpoint
      BUCKETWHEEL_BITBUCKET_API_URL     = var.bitbucket_api_url
      BUCKETWHEEL_CALLS_PER_HOUR        = var.calls_per_hour
      BUCKETWHEEL_HOOK_SECRET_DAYS      = var.hook_secret_days
      BUCKETWHEEL_REPOSITORY_LIST_HOURS = var.repository_list_hours
    }
  }

  tracing_config {
    mode = var.tracing
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.api_worker_logs.name
  }
}

resource "aws_lambda_event_source_mapping" "api_worker_call" {
  batch_size              = 10
  event_source_arn        = aws_sqs_queue.calls.arn
  function_name           = aws_lambda_function.api_worker.function_name
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.worker_concurrency
  }
}

resource "aws_scheduler_schedule" "api_worker_round" {
  schedule_expression = "rate(5 minutes)"
  name                = "${var.name}-round"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.api_worker.arn
    role_arn = aws_iam_role.api_worker_round_role.arn

    retry_policy {
      maximum_retry_attempts       = 0
      maximum_event_age_in_seconds = 60
    }
  }
}

resource "aws_iam_role" "api_worker_round_role" {
  name = "${var.name}-api-worker-round-role"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Action = ["sts:AssumeRole"]
        Effect = "Allow"
        Principal = {
          Service = ["scheduler.amazonaws.com"]
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "api_worker_round_role" {
  name = "ApiWorkerRoundLambdaPolicy"
  role = aws_iam_role.api_worker_round_role.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Action   = "lambda:InvokeFunction"
        Effect   = "Allow"
        Resource = aws_lambda_function.api_worker.arn
      },
    ]
  })
}

resource "aws_lambda_function" "gitops_syncer" {
  count            = var.gitops_sync == "on" ? 1 : 0
  filename         = "${var.packages}/gitops-sync.zip"
  source_code_hash = filebase64sha256("${var.packages}/gitops-sync.zip")
  description      = "Keeps clusters and folders of repositories in step"
  function_name    = "${var.name}-gitops-sync"
  handler          = "bootstrap"
  memory_size      = 256
  role             = aws_iam_role.gitops_syncer_role.arn
  runtime          = "provided.al2023"
  timeout          = 60
  architectures    = [var.architecture]

  environment {
    variables = {
      BUCKETWHEEL_LOG           = var.log_level
      BUCKETWHEEL_TABLE         = aws_dynamodb_table.table.name
      BUCKETWHEEL_CALLS_QUEUE   = aws_sqs_queue.calls.url
      BUCKETWHEEL_CHANGES_QUEUE = aws_sqs_queue.changes.url
    }
  }

  tracing_config {
    mode = var.tracing
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.gitops_syncer_logs.name
  }
}

resource "aws_lambda_event_source_mapping" "gitops_syncer_called" {
  count                   = var.gitops_sync == "on" ? 1 : 0
  batch_size              = 10
  event_source_arn        = aws_sqs_queue.gitops.arn
  function_name           = aws_lambda_function.gitops_syncer[0].function_name
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 5
  }
}

resource "aws_scheduler_schedule" "gitops_syncer_due" {
  count               = var.gitops_sync == "on" ? 1 : 0
  schedule_expression = "rate(1 minute)"
  name                = "${var.name}-gitops"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.gitops_syncer[0].arn
    role_arn = aws_iam_role.gitops_syncer_due_role[0].arn

    retry_policy {
      maximum_retry_attempts       = 0
      maximum_event_age_in_seconds = 60
    }
  }
}

resource "aws_iam_role" "gitops_syncer_due_role" {
  count = var.gitops_sync == "on" ? 1 : 0
  name  = "${var.name}-gitops-syncer-due-role"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Action = ["sts:AssumeRole"]
        Effect = "Allow"
        Principal = {
          Service = ["scheduler.amazonaws.com"]
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "gitops_syncer_due_role" {
  count = var.gitops_sync == "on" ? 1 : 0
  name  = "GitopsSyncerDueLambdaPolicy"
  role  = aws_iam_role.gitops_syncer_due_role[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Action   = "lambda:InvokeFunction"
        Effect   = "Allow"
        Resource = aws_lambda_function.gitops_syncer[0].arn
      },
    ]
  })
}

resource "aws_lambda_function" "console" {
  filename         = "${var.packages}/console.zip"
  source_code_hash = filebase64sha256("${var.packages}/console.zip")
  description      = "Operator pages and JSON API"
  function_name    = "${var.name}-console"
  handler          = "bootstrap"
  memory_size      = 256
  role             = aws_iam_role.console_role.arn
  runtime          = "provided.al2023"
  timeout          = 29
  architectures    = [var.architecture]

  environment {
    variables = {
      BUCKETWHEEL_LOG             = var.log_level
      BUCKETWHEEL_TABLE           = aws_dynamodb_table.table.name
      BUCKETWHEEL_EVENTS_QUEUE    = aws_sqs_queue.events.url
      BUCKETWHEEL_EVENTS_DLQ      = aws_sqs_queue.events_dlq.url
      BUCKETWHEEL_CALLS_QUEUE     = aws_sqs_queue.calls.url
      BUCKETWHEEL_CALLS_DLQ       = aws_sqs_queue.calls_dlq.url
      BUCKETWHEEL_RESULTS_QUEUE   = aws_sqs_queue.results.url
      BUCKETWHEEL_RESULTS_DLQ     = aws_sqs_queue.results_dlq.url
      BUCKETWHEEL_REFRESH_QUEUE   = aws_sqs_queue.refresh.url
      BUCKETWHEEL_REFRESH_DLQ     = aws_sqs_queue.refresh_dlq.url
      BUCKETWHEEL_CALLS_PER_HOUR  = var.calls_per_hour
      BUCKETWHEEL_GITOPS_QUEUE    = var.gitops_sync == "on" ? aws_sqs_queue.gitops.url : ""
      BUCKETWHEEL_GITOPS_DLQ      = var.gitops_sync == "on" ? aws_sqs_queue.gitops_dlq.url : ""
      BUCKETWHEEL_CHANGES_QUEUE   = var.gitops_sync == "on" ? aws_sqs_queue.changes.url : ""
      BUCKETWHEEL_CHANGES_DLQ     = var.gitops_sync == "on" ? aws_sqs_queue.changes_dlq.url : ""
      BUCKETWHEEL_OPERATOR_SECRET = aws_secretsmanager_secret.operator_secret.arn
      BUCKETWHEEL_PUBLIC_URL      = var.public_url != "" ? var.public_url : aws_apigatewayv2_api.api.api_endpoint
    }
  }

  tracing_config {
    mode = var.tracing
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.console_logs.name
  }
}
