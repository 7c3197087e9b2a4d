"""Shadow execution: bounds along a model's own operations, whatever the model is."""
