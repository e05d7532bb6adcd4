# No public address anywhere: the tasks reach out through NAT, nothing reaches in. People come to
# the UI through Session Manager (docs/deployment.md).
resource "aws_security_group" "tasks" {
  name        = "${var.name}-tasks"
  description = "Services and runs: out to AWS and the database, in from each other alone"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "code_location" {
  security_group_id            = aws_security_group.tasks.id
  description                  = "Dagster asks the code location"
  referenced_security_group_id = aws_security_group.tasks.id
  ip_protocol                  = "tcp"
  from_port                    = 4000
  to_port                      = 4000
}

resource "aws_vpc_security_group_egress_rule" "code_location" {
  security_group_id            = aws_security_group.tasks.id
  description                  = "Dagster asks the code location"
  referenced_security_group_id = aws_security_group.tasks.id
  ip_protocol                  = "tcp"
  from_port                    = 4000
  to_port                      = 4000
}

resource "aws_vpc_security_group_egress_rule" "aws_apis" {
  security_group_id = aws_security_group.tasks.id
  description       = "AWS in every region, and an alert webhook"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "database" {
  security_group_id            = aws_security_group.tasks.id
  description                  = "The database"
  referenced_security_group_id = aws_security_group.database.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_security_group" "database" {
  name        = "${var.name}-database"
  description = "In from the tasks alone, out nowhere"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  security_group_id            = aws_security_group.database.id
  description                  = "The tasks"
  referenced_security_group_id = aws_security_group.tasks.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_service_discovery_private_dns_namespace" "internal" {
  name        = "thirdsentry.internal"
  description = "Where Dagster finds the code locations"
  vpc         = var.vpc_id
}

resource "aws_service_discovery_service" "code_location" {
  name = "code-location"
  dns_config {
    namespace_id = aws_service_discovery_private_dns_namespace.internal.id
    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}
