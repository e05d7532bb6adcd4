locals {
  # What every task is told; no value here is a secret.
  environment = {
    DAGSTER_HOME                      = "/opt/thirdsentry/deploy/ecs"
    AWS_REGION                        = var.region
    COMPUTE_LOG_BUCKET                = aws_s3_bucket.logs.id
    RUN_LOG_GROUP                     = aws_cloudwatch_log_group.tasks.name
    RUN_TASK_ROLE_ARN                 = aws_iam_role.pipeline.arn
    RUN_EXECUTION_ROLE_ARN            = aws_iam_role.execution["run"].arn
    RUN_SECRET_PIPELINE               = aws_secretsmanager_secret.login["pipeline"].arn
    RUN_SECRET_SCHEDULER              = aws_secretsmanager_secret.login["scheduler"].arn
    RUN_SECRET_TRANSFORM              = aws_secretsmanager_secret.login["transform"].arn
    RUN_SECRET_DAGSTER                = aws_secretsmanager_secret.login["dagster"].arn
    THIRDSENTRY_KMS_KEY_ID            = aws_kms_key.organizations.arn
    THIRDSENTRY_PRINCIPAL_ARN         = aws_iam_role.pipeline.arn
    THIRDSENTRY_ANCHOR_BUCKET         = aws_s3_bucket.anchors.id
    THIRDSENTRY_ALERT_SNS_TOPIC_ARN   = aws_sns_topic.alerts.arn
    THIRDSENTRY_ORGANIZATIONS_PER_RUN = tostring(var.organizations_per_run)
    THIRDSENTRY_PARTITION_WINDOW_DAYS = tostring(var.partition_window_days)
    THIRDSENTRY_RUN_HISTORY_DAYS      = tostring(var.run_history_days)
  }
  variable_of = {
    admin     = "THIRDSENTRY_ADMIN_DATABASE_URL"
    pipeline  = "THIRDSENTRY_DATABASE_URL"
    scheduler = "THIRDSENTRY_SCHEDULER_DATABASE_URL"
    transform = "THIRDSENTRY_TRANSFORM_DATABASE_URL"
    dagster   = "THIRDSENTRY_DAGSTER_DATABASE_URL"
  }
  tasks = {
    code-location = {
      command = ["dagster", "code-server", "start", "--module-name=thirdsentry_pipeline.definitions", "--host=0.0.0.0", "--port=4000"]
      kind    = "run", role = aws_iam_role.pipeline.arn, cpu = 512, memory = 2048
    }
    daemon = {
      command = ["dagster-daemon", "run", "--workspace=/opt/thirdsentry/deploy/ecs/workspace.yaml"]
      kind    = "dagster", role = aws_iam_role.dagster.arn, cpu = 1024, memory = 2048
    }
    webserver = {
      command = ["dagster-webserver", "--workspace=/opt/thirdsentry/deploy/ecs/workspace.yaml", "--host=127.0.0.1", "--port=3000", "--db-statement-timeout=60000"]
      kind    = "dagster", role = aws_iam_role.dagster.arn, cpu = 1024, memory = 2048
    }
    # No service: started by hand before each new version (docs/deployment.md).
    migrate = {
      command = ["thirdsentry", "db", "migrate"]
      kind    = "migrate", role = aws_iam_role.migrate.arn, cpu = 512, memory = 1024
    }
  }
}

resource "aws_ecs_cluster" "main" {
  name = var.name
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_cloudwatch_log_group" "tasks" {
  name              = "/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.storage.arn
}

resource "aws_sns_topic" "alerts" {
  name              = "${var.name}-alerts"
  kms_master_key_id = "alias/aws/sns"
}

resource "aws_ecs_task_definition" "all" {
  for_each                 = local.tasks
  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  task_role_arn            = each.value.role
  execution_role_arn       = aws_iam_role.execution[each.value.kind].arn
  runtime_platform {
    cpu_architecture        = "X86_64"
    operating_system_family = "LINUX"
  }
  container_definitions = jsonencode([{
    name      = each.key
    image     = var.image
    essential = true
    command   = each.value.command
    environment = [
      # Dagster starts each run from the image of its code location.
      for name, value in merge(local.environment, { DAGSTER_CURRENT_IMAGE = var.image }) : { name = name, value = value }
    ]
    secrets = [
      for login in local.secrets_of[each.value.kind] : {
        name      = local.variable_of[login]
        valueFrom = aws_secretsmanager_secret.login[login].arn
      }
    ]
    linuxParameters = { initProcessEnabled = true, capabilities = { drop = ["ALL"] } }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.tasks.name
        awslogs-region        = var.region
        awslogs-stream-prefix = each.key
      }
    }
  }])
}

resource "aws_ecs_service" "all" {
  for_each               = { for name, task in local.tasks : name => task if name != "migrate" }
  name                   = each.key
  cluster                = aws_ecs_cluster.main.id
  task_definition        = aws_ecs_task_definition.all[each.key].arn
  launch_type            = "FARGATE"
  desired_count          = 1
  enable_execute_command = each.key == "webserver"
  propagate_tags         = "SERVICE"
  # One daemon at a time: the old one ends before the new one starts.
  deployment_minimum_healthy_percent = each.key == "daemon" ? 0 : 100
  deployment_maximum_percent         = each.key == "daemon" ? 100 : 200
  network_configuration {
    subnets          = var.private_subnet_ids
    security_groups  = [aws_security_group.tasks.id]
    assign_public_ip = false
  }
  dynamic "service_registries" {
    for_each = each.key == "code-location" ? [aws_service_discovery_service.code_location.arn] : []
    content {
      registry_arn = service_registries.value
    }
  }
}
