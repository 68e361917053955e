"""taskstatus-relay: from a poll-only status API to webhooks."""

__version__ = "0.1.0"
