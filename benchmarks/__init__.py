"""Speed and accuracy of the whole loop, printed as tables and JSON; never imported by the service."""
