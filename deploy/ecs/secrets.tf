# One secret per login, holding its URL as the product reads it. The passwords are ephemeral: they
# go to the database and to Secrets Manager, and never into a plan or the state.
locals {
  logins = {
    admin     = { login = "thirdsentry_admin", database = "thirdsentry", scheme = "postgresql" }
    pipeline  = { login = "thirdsentry_pipeline", database = "thirdsentry", scheme = "postgresql" }
    scheduler = { login = "thirdsentry_scheduler", database = "thirdsentry", scheme = "postgresql" }
    transform = { login = "thirdsentry_transform", database = "thirdsentry", scheme = "postgresql" }
    # Dagster's own storage needs its driver named.
    dagster = { login = "thirdsentry_dagster", database = "dagster", scheme = "postgresql+psycopg2" }
  }
  working_logins = ["pipeline", "scheduler", "transform", "dagster"]
  # The server must prove its name before a login's password is sent to it.
  url_options = "sslmode=verify-full&sslrootcert=/opt/thirdsentry/certificates/rds.pem"
}

ephemeral "aws_secretsmanager_random_password" "login" {
  for_each            = local.logins
  password_length     = 48
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret" "login" {
  for_each                = local.logins
  name                    = "${var.name}/database/${each.key}"
  description             = "URL of the ${each.key} login"
  kms_key_id              = aws_kms_key.storage.arn
  recovery_window_in_days = 30
}

resource "aws_secretsmanager_secret_version" "login" {
  for_each                 = local.logins
  secret_id                = aws_secretsmanager_secret.login[each.key].id
  secret_string_wo         = "${each.value.scheme}://${each.value.login}:${ephemeral.aws_secretsmanager_random_password.login[each.key].random_password}@${aws_db_instance.warehouse.endpoint}/${each.value.database}?${local.url_options}"
  secret_string_wo_version = var.password_version
}
