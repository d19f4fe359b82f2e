# Made by generate.py from template.yaml, where the reasons stand. Do not edit.

variable "name" {
  type        = string
  default     = "bucketwheel"
  description = "What the names of everything begin with."
}

variable "packages" {
  type        = string
  description = "Folder with the functions' zips, as `bucketwheel package` writes them: target/package/functions."
}

variable "bitbucket_consumer_key" {
  type        = string
  default     = ""
  description = "Key of the OAuth consumer registered at Bitbucket. Empty until you have one."
  sensitive   = true
}

variable "bitbucket_consumer_secret" {
  type        = string
  default     = ""
  description = "Secret of the OAuth consumer registered at Bitbucket."
  sensitive   = true
}

variable "bitbucket_url" {
  type        = string
  default     = "https://bitbucket.org"
  description = "Where users authorise and where tokens are issued."
}

variable "bitbucket_api_url" {
  type        = string
  default     = "https://api.bitbucket.org"
  description = "Where the REST API is, without the version."
}

variable "public_url" {
  type        = string
  default     = ""
  description = "Your own domain in front of the HTTP API, e.g. https://bitbucket.example.com. Empty - the API's own address."

  validation {
    condition     = can(regex("^(https?://[^/]+)?$", var.public_url))
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "certificate_arn" {
  type        = string
  default     = ""
  description = "Certificate, in this region, for the domain in PublicUrl. The API is then served there; point the domain at the output DomainTarget. Empty - you have something else in front, or nothing."

  validation {
    condition     = can(regex("^(arn:.+)?$", var.certificate_arn))
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "grace_window" {
  type        = number
  default     = 480
  description = "Seconds during which Bitbucket still accepts a refresh token that was already spent once. Stay below its ten minutes."

  validation {
    condition     = var.grace_window >= 60 && var.grace_window <= 600
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "lockout_wait" {
  type        = number
  default     = 900
  description = "Seconds to wait after Bitbucket refused a refresh token, before the one try that decides. Its lockouts last some minutes; two clocks may differ by ten."

  validation {
    condition     = var.lockout_wait >= 0 && var.lockout_wait <= 1200
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "refresh_schedule" {
  type        = string
  default     = "rate(1 minute)"
  description = "How often tokens that fall due are looked for."
}

variable "worker_concurrency" {
  type        = number
  default     = 5
  description = "How many batches of API calls may be worked on at the same time."

  validation {
    condition     = var.worker_concurrency >= 2 && var.worker_concurrency <= 1000
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "calls_per_hour" {
  type        = number
  default     = 1000
  description = "Requests per rolling hour that Bitbucket allows the OAuth consumer. Stay at 1000 unless you were granted more."

  validation {
    condition     = var.calls_per_hour >= 10 && var.calls_per_hour <= 1000000
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "hook_secret_days" {
  type        = number
  default     = 90
  description = "Days after which a webhook secret is replaced. 0 - never by itself."

  validation {
    condition     = var.hook_secret_days >= 0 && var.hook_secret_days <= 3650
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "repository_list_hours" {
  type        = number
  default     = 6
  description = "Hours after which the list of repositories that a credential sees is read anew. 0 - only after a connect and when an event says that it changes."

  validation {
    condition     = var.repository_list_hours >= 0 && var.repository_list_hours <= 720
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "gitops_sync" {
  type        = string
  default     = "off"
  description = "Keep clusters and folders of repositories in step. Each push is then queued a second time, for gitops-sync."

  validation {
    condition     = contains(["on", "off"], var.gitops_sync)
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "detect_missed" {
  type        = string
  default     = "off"
  description = "Look each hour for pushes and pull requests that Bitbucket did not deliver, and make up for them. Takes up to a tenth of the hourly allowance, and a small write for each such delivery."

  validation {
    condition     = contains(["on", "off"], var.detect_missed)
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "oidc_issuer" {
  type        = string
  default     = ""
  description = "Issuer (https; http for a local one) whose tokens the API demands before anything of the console answers, in addition to the operator token. Empty - none. People who come from a connect link land on the console, so they need such a token too."

  validation {
    condition     = can(regex("^(https://.+|http://127\\.0\\.0\\.1:[0-9]+)?$", var.oidc_issuer))
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "oidc_audience" {
  type        = string
  default     = "bucketwheel"
  description = "The audience that those tokens must name."
}

variable "oidc_header" {
  type        = string
  default     = "X-Forwarded-Access-Token"
  description = "The header in which your sign-on proxy sends the token. Not Authorization - that carries the operator token."

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+$", var.oidc_header))
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "alarm_topic" {
  type        = string
  default     = ""
  description = "ARN of the SNS topic that alarms are sent to. Empty - they are only seen in CloudWatch."

  validation {
    condition     = can(regex("^(arn:.+)?$", var.alarm_topic))
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "architecture" {
  type        = string
  default     = "arm64"
  description = "Processor of the functions. Must be what they were built for."

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "ingest_concurrency" {
  type        = number
  default     = 0
  description = "Deliveries for which room is reserved, so that no other function of the account takes it. More at the same time are answered 5xx. While deliveries are parked, drains take one or two of these places, so fewer than five are too few. 0 - none is reserved, and the account's limit counts."

  validation {
    condition     = var.ingest_concurrency >= 0 && var.ingest_concurrency <= 1000
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "kms_key" {
  type        = string
  default     = ""
  description = "ARN of a KMS key of yours for table, queues and secrets. Empty - AWS's own keys."

  validation {
    condition     = can(regex("^(arn:.+:key/.+)?$", var.kms_key))
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "tracing" {
  type        = string
  default     = "PassThrough"
  description = "Active - X-Ray records each run of a function, which costs by the trace."

  validation {
    condition     = contains(["PassThrough", "Active"], var.tracing)
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "log_level" {
  type        = string
  default     = "info"
  description = "Least severe level that the functions write to their logs."

  validation {
    condition     = contains(["error", "warn", "info", "debug"], var.log_level)
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "log_retention_days" {
  type        = number
  default     = 30
  description = "Days for which logs are kept."

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653], var.log_retention_days)
    error_message = "Not one of the values that this takes; see the description."
  }
}

variable "deletion_protection" {
  type        = string
  default     = "true"
  description = "Refuse to delete the table even outside of this stack."

  validation {
    condition     = contains(["true", "false"], var.deletion_protection)
    error_message = "Not one of the values that this takes; see the description."
  }
}
