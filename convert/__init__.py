"""Workstation tools: train the networks, measure them and write the files the service loads.

Nothing in here is imported by ``edge_agent``; the heavy libraries (TensorFlow, PyTorch, matplotlib) come
with the extra ``convert`` and are imported only by the commands that need them.
"""
