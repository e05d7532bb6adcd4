"""What the product does: onboard, connect, sync. AWS and warehouse meet here."""
