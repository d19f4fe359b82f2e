# Made by generate.py from template.yaml, where the reasons stand. Do not edit.

resource "aws_dynamodb_table" "table" {
  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  range_key                   = "sk"
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  attribute {
    name = "due_shard"
    type = "S"
  }

  attribute {
    name = "due_at"
    type = "N"
  }

  attribute {
    name = "listing"
    type = "S"
  }

  attribute {
    name = "recent_of"
    type = "S"
  }

  attribute {
    name = "recent_at"
    type = "N"
  }

  global_secondary_index {
    name            = "due"
    hash_key        = "due_shard"
    range_key       = "due_at"
    projection_type = "KEYS_ONLY"
  }

  global_secondary_index {
    name            = "listing"
    hash_key        = "listing"
    range_key       = "pk"
    projection_type = "ALL"
  }

  global_secondary_index {
    name            = "recent"
    hash_key        = "recent_of"
    range_key       = "recent_at"
    projection_type = "INCLUDE"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key != "" ? var.kms_key : null
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_secretsmanager_secret" "hook_keyring" {
  name_prefix = "${var.name}-hook-keyring-"
  description = "Keys that seal webhook secrets"
  kms_key_id  = var.kms_key != "" ? var.kms_key : null

  lifecycle {
    prevent_destroy = true
  }
}

resource "random_password" "hook_keyring" {
  length  = 64
  special = false
}

resource "aws_secretsmanager_secret_version" "hook_keyring" {
  secret_id     = aws_secretsmanager_secret.hook_keyring.id
  secret_string = jsonencode({ k0001 = random_password.hook_keyring.result })

  lifecycle {
    ignore_changes = [secret_string]
  }
}

resource "aws_secretsmanager_secret" "access_keyring" {
  name_prefix = "${var.name}-access-keyring-"
  description = "Keys that seal access tokens and API tokens"
  kms_key_id  = var.kms_key != "" ? var.kms_key : null

  lifecycle {
    prevent_destroy = true
  }
}

resource "random_password" "access_keyring" {
  length  = 64
  special = false
}

resource "aws_secretsmanager_secret_version" "access_keyring" {
  secret_id     = aws_secretsmanager_secret.access_keyring.id
  secret_string = jsonencode({ k0001 = random_password.access_keyring.result })

  lifecycle {
    ignore_changes = [secret_string]
  }
}

resource "aws_secretsmanager_secret" "refresh_keyring" {
  name_prefix = "${var.name}-refresh-keyring-"
  description = "Keys that seal refresh tokens"
  kms_key_id  = var.kms_key != "" ? var.kms_key : null

  lifecycle {
    prevent_destroy = true
  }
}

resource "random_password" "refresh_keyring" {
  length  = 64
  special = false
}

resource "aws_secretsmanager_secret_version" "refresh_keyring" {
  secret_id     = aws_secretsmanager_secret.refresh_keyring.id
  secret_string = jsonencode({ k0001 = random_password.refresh_keyring.result })

  lifecycle {
    ignore_changes = [secret_string]
  }
}

resource "aws_secretsmanager_secret" "operator_secret" {
  name_prefix = "${var.name}-operator-secret-"
  description = "The token with which an operator enters the console and its API"
  kms_key_id  = var.kms_key != "" ? var.kms_key : null

  lifecycle {
    prevent_destroy = true
  }
}

resource "random_password" "operator_secret" {
  length  = 48
  special = false
}

resource "aws_secretsmanager_secret_version" "operator_secret" {
  secret_id     = aws_secretsmanager_secret.operator_secret.id
  secret_string = jsonencode({ token = random_password.operator_secret.result })

  lifecycle {
    ignore_changes = [secret_string]
  }
}

resource "aws_secretsmanager_secret" "app_secret" {
  name_prefix = "${var.name}-app-secret-"
  description = "Key and secret of the OAuth consumer registered at Bitbucket"
  kms_key_id  = var.kms_key != "" ? var.kms_key : null

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_secretsmanager_secret_version" "app_secret" {
  secret_id     = aws_secretsmanager_secret.app_secret.id
  secret_string = "{\"key\":\"${var.bitbucket_consumer_key}\",\"secret\":\"${var.bitbucket_consumer_secret}\"}"
}
