"""Reading AWS: role sessions and collectors, answers to facts; the platform side: KMS, S3, SNS."""
