"""The dashboard at ``/dashboard``: pages made here, for whoever has an API key with the scope ``audit``."""
