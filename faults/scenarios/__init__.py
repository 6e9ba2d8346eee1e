"""One module for each kind of fault. A scenario registers itself: see faults/registry.py."""
