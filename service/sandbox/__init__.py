"""A Telnyx for tests and laptops.

It imports nothing of the service: its rules and error tables are written a second time, from Telnyx's
documents, because an emulator that shared the client's tables could not find the client's mistakes.
"""
