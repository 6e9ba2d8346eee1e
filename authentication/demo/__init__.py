"""Generated users and sessions for trying out the console."""
