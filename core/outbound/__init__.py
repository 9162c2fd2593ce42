"""Calls to other machines: timed HTTP and the check for public addresses. What is said to whom stands in the rooms
that call."""
