"""Models that are no PyTorch modules: functions of NumPy arrays, JAX, ONNX Runtime."""
