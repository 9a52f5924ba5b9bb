"""Countersign: two-factor authentication as a self-hosted microservice."""
