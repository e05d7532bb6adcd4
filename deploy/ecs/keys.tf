# Wraps the organizations' data keys: without it no external id can be read, so it is never deleted
# in passing.
resource "aws_kms_key" "organizations" {
  description             = "${var.name}: wraps the data key of each organization"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "organizations" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.organizations.key_id
}

resource "aws_kms_key" "storage" {
  description             = "${var.name}: database, secrets, buckets, logs"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.storage_key.json
}

data "aws_iam_policy_document" "storage_key" {
  statement {
    sid       = "ThisAccountsPoliciesDecide"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }
  statement {
    sid       = "LogsOfThisInstallation"
    actions   = ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"]
    resources = ["*"]
    principals {
      type        = "Service"
      identifiers = ["logs.${var.region}.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["arn:${data.aws_partition.current.partition}:logs:${var.region}:${data.aws_caller_identity.current.account_id}:log-group:/${var.name}"]
    }
  }
}
