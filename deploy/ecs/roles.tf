# Who may do what. A role per kind of task, and for each the list of what it calls.
data "aws_iam_policy_document" "tasks_assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

# Collects: the principal that customers trust.
resource "aws_iam_role" "pipeline" {
  name               = "${var.name}-pipeline"
  description        = "Reads customers' accounts: runs and the code location"
  assume_role_policy = data.aws_iam_policy_document.tasks_assume.json
}

data "aws_iam_policy_document" "pipeline" {
  statement {
    sid       = "CustomersRoles"
    actions   = ["sts:AssumeRole"]
    resources = var.customer_role_arns
  }
  statement {
    sid       = "OrganizationsKeys"
    actions   = ["kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt", "kms:DescribeKey"]
    resources = [aws_kms_key.organizations.arn]
  }
  statement {
    sid       = "Anchors"
    actions   = ["s3:PutObject", "s3:PutObjectRetention", "s3:GetObjectVersion"]
    resources = ["${aws_s3_bucket.anchors.arn}/*"]
  }
  statement {
    sid       = "FindAnchors"
    actions   = ["s3:ListBucketVersions"]
    resources = [aws_s3_bucket.anchors.arn]
  }
  statement {
    sid       = "RunsOutput"
    actions   = ["s3:PutObject", "s3:GetObject"]
    resources = ["${aws_s3_bucket.logs.arn}/dagster/*"]
  }
  statement {
    sid       = "EncryptedBuckets"
    actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
    resources = [aws_kms_key.storage.arn]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${var.region}.amazonaws.com"]
    }
  }
  statement {
    sid       = "Alerts"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alerts.arn]
  }
}

resource "aws_iam_role_policy" "pipeline" {
  name   = "pipeline"
  role   = aws_iam_role.pipeline.id
  policy = data.aws_iam_policy_document.pipeline.json
}

# Schedules and shows: starts runs, and reads no customer, no key and no anchor.
resource "aws_iam_role" "dagster" {
  name               = "${var.name}-dagster"
  description        = "Dagster's daemon and webserver"
  assume_role_policy = data.aws_iam_policy_document.tasks_assume.json
}

data "aws_iam_policy_document" "dagster" {
  statement {
    sid       = "LookAtTasks"
    actions   = ["ecs:DescribeTasks", "ecs:StopTask"]
    resources = ["${local.ecs_arn}:task/${aws_ecs_cluster.main.name}/*"]
  }
  statement {
    sid       = "StartRuns"
    actions   = ["ecs:RunTask"]
    resources = ["${local.ecs_arn}:task-definition/thirdsentry_*"]
    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [aws_ecs_cluster.main.arn]
    }
  }
  statement {
    sid       = "TagRunsAsTheyStart"
    actions   = ["ecs:TagResource"]
    resources = ["${local.ecs_arn}:task/${aws_ecs_cluster.main.name}/*"]
    condition {
      test     = "StringEquals"
      variable = "ecs:CreateAction"
      values   = ["RunTask"]
    }
  }
  statement {
    sid = "DefineRuns"
    # ECS and EC2 offer no resource to name for what is only described.
    actions   = ["ecs:RegisterTaskDefinition", "ecs:DescribeTaskDefinition", "ec2:DescribeNetworkInterfaces"]
    resources = ["*"]
  }
  statement {
    sid       = "RunsAreThePipeline"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.pipeline.arn, aws_iam_role.execution["run"].arn]
    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }
  statement {
    sid       = "RunsOutput"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${aws_s3_bucket.logs.arn}/dagster/*"]
  }
  statement {
    sid       = "RunsOutputIsThere"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.logs.arn]
  }
  statement {
    sid       = "WhyARunDied"
    actions   = ["logs:GetLogEvents"]
    resources = ["${aws_cloudwatch_log_group.tasks.arn}:*"]
  }
  statement {
    sid       = "EncryptedBuckets"
    actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
    resources = [aws_kms_key.storage.arn]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${var.region}.amazonaws.com"]
    }
  }
  statement {
    sid = "SessionManagerForTheUi"
    # The message channels have no resource to name.
    actions = [
      "ssmmessages:CreateControlChannel",
      "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel",
      "ssmmessages:OpenDataChannel",
    ]
    resources = ["*"]
  }
}

resource "aws_iam_role_policy" "dagster" {
  name   = "dagster"
  role   = aws_iam_role.dagster.id
  policy = data.aws_iam_policy_document.dagster.json
}

# Migrates: calls nothing of AWS.
resource "aws_iam_role" "migrate" {
  name               = "${var.name}-migrate"
  description        = "The one-shot migrations"
  assume_role_policy = data.aws_iam_policy_document.tasks_assume.json
}

# What starts a task for us: pulls the image, opens its log, reads the secrets of its kind alone.
locals {
  ecs_arn = "arn:${data.aws_partition.current.partition}:ecs:${var.region}:${data.aws_caller_identity.current.account_id}"
  secrets_of = {
    run     = local.working_logins
    dagster = ["dagster"]
    migrate = keys(local.logins)
  }
}

resource "aws_iam_role" "execution" {
  for_each           = local.secrets_of
  name               = "${var.name}-start-${each.key}"
  description        = "Starts tasks of the kind ${each.key}"
  assume_role_policy = data.aws_iam_policy_document.tasks_assume.json
}

data "aws_iam_policy_document" "execution" {
  for_each = local.secrets_of
  statement {
    sid       = "RegistryLogin"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }
  statement {
    sid       = "Image"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [var.image_repository_arn]
  }
  statement {
    sid       = "Output"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.tasks.arn}:*"]
  }
  statement {
    sid       = "Secrets"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [for login in each.value : aws_secretsmanager_secret.login[login].arn]
  }
  statement {
    sid       = "SecretsKey"
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.storage.arn]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["secretsmanager.${var.region}.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "execution" {
  for_each = local.secrets_of
  name     = "start"
  role     = aws_iam_role.execution[each.key].id
  policy   = data.aws_iam_policy_document.execution[each.key].json
}
