"""Models that are not PyTorch modules: functions of NumPy arrays, JAX models and ONNX files."""
