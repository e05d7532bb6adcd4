terraform {
  # Write-only arguments, by which no password reaches the state, came with 1.11.
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}

provider "aws" {
  region = var.region
  default_tags {
    tags = { product = "thirdsentry", installation = var.name }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}
