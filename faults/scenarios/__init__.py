"""The fault scenarios, one module for each kind of fault: see faults/registry.py."""
