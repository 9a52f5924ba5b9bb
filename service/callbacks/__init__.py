"""Status callbacks to apps: Standard Webhooks, signed, retried, to public addresses only."""
