# A public proxy with sandboxes: an example of every kind of option.

terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
  }
}

provider "aws" {
  region = "eu-central-1"
}

variable "image" {
  description = "The image minimal, by digest."
  type        = string
}

variable "executor_image" {
  description = "The image ptc, by digest."
  type        = string
}

variable "certificate_arn" {
  description = "The certificate in ACM."
  type        = string
}

variable "secrets" {
  description = "ARNs by names of settings: SANDBOX_TOKEN, and METRICS_TOKEN if metrics are wanted."
  type        = map(string)
}

resource "aws_sns_topic" "alarms" {
  name              = "claude-proxy-alarms"
  kms_master_key_id = "alias/aws/sns"
}

module "proxy" {
  source = "../.."

  image           = var.image
  public          = true
  certificate_arn = var.certificate_arn
  clients         = ["203.0.113.0/24"]
  zones           = 3
  cpu             = 2048
  memory          = 4096
  settings        = { LOG_LEVEL = "WARNING" }
  secrets         = var.secrets
  alarm_topic_arn = aws_sns_topic.alarms.arn
  executors       = 2
  executor_image  = var.executor_image
}

output "url" {
  description = "The base URL for clients."
  value       = module.proxy.url
}
