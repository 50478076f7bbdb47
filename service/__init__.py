"""policywatch: reads news and regulator feeds, recognises policy developments, sends one alert per event."""

__version__ = "0.1.0"
