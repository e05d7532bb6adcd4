output "principal_arn" {
  description = "What customers' roles trust; the onboarding templates carry it."
  value       = aws_iam_role.pipeline.arn
}

output "cluster" {
  description = "Where the services and the runs are."
  value       = aws_ecs_cluster.main.name
}

output "migrate_task_definition" {
  description = "Run it once before each new version."
  value       = aws_ecs_task_definition.all["migrate"].family
}

output "network" {
  description = "The network configuration of a task started by hand."
  value = {
    awsvpcConfiguration = {
      subnets        = var.private_subnet_ids
      securityGroups = [aws_security_group.tasks.id]
      assignPublicIp = "DISABLED"
    }
  }
}

output "alert_topic_arn" {
  description = "Subscribe people and pagers to it."
  value       = aws_sns_topic.alerts.arn
}
