"""What goes out: rendering, and sending by webhook, Apprise and mail. Knows neither storage nor the outbox."""
