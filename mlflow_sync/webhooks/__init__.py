"""MLflow tells of a change: deliveries, their signatures, how a webhook is made."""
