"""Who sends: the only part that knows Telnyx's words. It gives domain values back."""
