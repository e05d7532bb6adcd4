resource "aws_db_subnet_group" "warehouse" {
  name       = var.name
  subnet_ids = var.private_subnet_ids
}

resource "aws_db_parameter_group" "warehouse" {
  name   = "${var.name}-postgres17"
  family = "postgres17"
  parameter {
    name         = "rds.force_ssl"
    value        = "1"
    apply_method = "immediate"
  }
  parameter {
    name         = "password_encryption"
    value        = "scram-sha-256"
    apply_method = "immediate"
  }
  # Bound values never reach the log: rows are tenants' data.
  parameter {
    name         = "log_parameter_max_length"
    value        = "0"
    apply_method = "immediate"
  }
}

resource "aws_db_instance" "warehouse" {
  identifier                          = var.name
  engine                              = "postgres"
  engine_version                      = "17"
  instance_class                      = var.database_instance_class
  db_name                             = "thirdsentry"
  username                            = "thirdsentry_admin"
  password_wo                         = ephemeral.aws_secretsmanager_random_password.login["admin"].random_password
  password_wo_version                 = var.password_version
  allocated_storage                   = var.database_storage_gigabytes
  max_allocated_storage               = var.database_storage_gigabytes * 10
  storage_type                        = "gp3"
  storage_encrypted                   = true
  kms_key_id                          = aws_kms_key.storage.arn
  parameter_group_name                = aws_db_parameter_group.warehouse.name
  db_subnet_group_name                = aws_db_subnet_group.warehouse.name
  vpc_security_group_ids              = [aws_security_group.database.id]
  publicly_accessible                 = false
  multi_az                            = true
  backup_retention_period             = 35
  copy_tags_to_snapshot               = true
  auto_minor_version_upgrade          = true
  performance_insights_enabled        = true
  performance_insights_kms_key_id     = aws_kms_key.storage.arn
  iam_database_authentication_enabled = false
  deletion_protection                 = true
  skip_final_snapshot                 = false
  final_snapshot_identifier           = "${var.name}-final"
}
