variable "name" {
  description = "Begins the name of everything here; another installation needs another."
  type        = string
  default     = "thirdsentry"
}

variable "region" {
  description = "The region of everything here; customers' accounts are read in all of theirs."
  type        = string
}

variable "image" {
  description = "The image made by deploy/Dockerfile, by digest, in a repository of this account."
  type        = string
  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "Name the image by digest: a tag may mean another image tomorrow."
  }
}

variable "image_repository_arn" {
  description = "The ECR repository that the tasks may pull the image from."
  type        = string
}

variable "vpc_id" {
  description = "The network; it must resolve private names."
  type        = string
}

variable "private_subnet_ids" {
  description = "At least two subnets whose way out to AWS's APIs is a NAT gateway."
  type        = list(string)
}

variable "customer_role_arns" {
  description = "Which roles may be assumed: those that the onboarding template makes."
  type        = list(string)
  default     = ["arn:aws:iam::*:role/ThirdSentry*"]
}

variable "database_instance_class" {
  description = "docs/capacity.md says when to take a larger one."
  type        = string
  default     = "db.m7g.large"
}

variable "database_storage_gigabytes" {
  description = "To begin with; it grows by itself to ten times as much."
  type        = number
  default     = 100
}

variable "organizations_per_run" {
  description = "THIRDSENTRY_ORGANIZATIONS_PER_RUN: 1 gives every tenant a task of its own."
  type        = number
  default     = 1
}

variable "partition_window_days" {
  description = "THIRDSENTRY_PARTITION_WINDOW_DAYS."
  type        = number
  default     = 90
}

variable "run_history_days" {
  description = "THIRDSENTRY_RUN_HISTORY_DAYS: how long Dagster keeps finished runs."
  type        = number
  default     = 90
}

variable "anchor_retention_days" {
  description = "How long nobody can delete an audit anchor."
  type        = number
  default     = 400
}

variable "password_version" {
  description = "Raised, the administrator and every login get a new password (docs/deployment.md)."
  type        = number
  default     = 1
}

variable "log_retention_days" {
  description = "How long the tasks' and the runs' output is kept."
  type        = number
  default     = 90
}
