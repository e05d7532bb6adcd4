"""What a customer's role must allow and whom it must trust."""

from thirdsentry_pipeline.domain.policy.documents import (
    ACTIONS_BY_TYPE,
    LEAST_PRIVILEGE_ACTIONS,
    PolicyChoice,
    actions_for,
    managed_policy_arns,
    permission_policy,
    session_policy,
    trust_policy,
)
from thirdsentry_pipeline.domain.policy.forms import (
    ROLE_NAME,
    cloudformation_template,
    quick_create_url,
    terraform_module,
)

__all__ = [
    "ACTIONS_BY_TYPE",
    "LEAST_PRIVILEGE_ACTIONS",
    "ROLE_NAME",
    "PolicyChoice",
    "actions_for",
    "cloudformation_template",
    "managed_policy_arns",
    "permission_policy",
    "quick_create_url",
    "session_policy",
    "terraform_module",
    "trust_policy",
]
