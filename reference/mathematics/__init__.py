"""The equations of networks, losses and optimisers, in any arithmetic."""
