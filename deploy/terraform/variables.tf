variable "name" {
  description = "Begins the names of what is made."
  type        = string
  default     = "claude-proxy"
}

variable "image" {
  description = "The image: REPOSITORY@sha256:DIGEST, or a tag other than latest."
  type        = string
}

variable "vpc_cidr" {
  description = "The network of the VPC."
  type        = string
  default     = "10.40.0.0/16"
}

variable "zones" {
  description = "How many availability zones: 2 or 3."
  type        = number
  default     = 2
}

variable "egress" {
  description = "The way out of the private subnets: nat, or endpoints of AWS alone."
  type        = string
  default     = "nat"
}

variable "public" {
  description = "Whether the balancer has a public address; needs certificate_arn and clients."
  type        = bool
  default     = false
}

variable "certificate_arn" {
  description = "The certificate in ACM for HTTPS; without one the balancer speaks HTTP, inside of the VPC."
  type        = string
  default     = ""
}

variable "clients" {
  description = "Networks that may connect to the balancer; empty: vpc_cidr."
  type        = list(string)
  default     = []
}

variable "table_prefix" {
  description = "Begins the names of the tables."
  type        = string
  default     = "anthropic-proxy"
}

variable "create_tables" {
  description = "Whether the tables are made; false: they are there."
  type        = bool
  default     = true
}

variable "limits" {
  description = "Where limits are counted: redis, or per-task."
  type        = string
  default     = "redis"
}

variable "redis_node_type" {
  description = "The size of Redis."
  type        = string
  default     = "cache.t4g.micro"
}

variable "cpu" {
  description = "CPU units of a task: 1024 are a processor, and a worker."
  type        = number
  default     = 1024
}

variable "memory" {
  description = "MiB of a task."
  type        = number
  default     = 2048
}

variable "architecture" {
  description = "X86_64 or ARM64, as the image is."
  type        = string
  default     = "X86_64"
}

variable "min_tasks" {
  description = "The least number of tasks."
  type        = number
  default     = 2
}

variable "max_tasks" {
  description = "The most."
  type        = number
  default     = 6
}

variable "settings" {
  description = "Settings of the proxy by name, without secrets."
  type        = map(string)
  default     = {}
}

variable "secrets" {
  description = "ARNs in Secrets Manager or Parameter Store by names of settings."
  type        = map(string)
  default     = {}
}

variable "assume_roles" {
  description = "ARNs of roles in other accounts that the proxy may assume (PROVIDERS)."
  type        = list(string)
  default     = []
}

variable "log_days" {
  description = "How long logs are kept."
  type        = number
  default     = 30
}

variable "alarm_topic_arn" {
  description = "The SNS topic that alarms are sent to; empty: they are shown only."
  type        = string
  default     = ""
}

variable "executors" {
  description = "How many executors of sandboxes, each a machine of its own."
  type        = number
  default     = 0
}

variable "executor_image" {
  description = "The image ptc."
  type        = string
  default     = ""
}

variable "executor_instance_type" {
  description = "The kind of machine of an executor."
  type        = string
  default     = "t3.large"
}

variable "executor_settings" {
  description = "Settings of executors by name, without secrets."
  type        = map(string)
  default     = {}
}
