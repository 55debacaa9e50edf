"""The administration console, in a browser and without one."""
