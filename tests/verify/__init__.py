"""What a service that only checks tokens relies on."""
