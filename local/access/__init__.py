"""Who may do what: IAM and resource policies, evaluated and recorded."""
