"""What is kept of answers, and how it is told that it is still true. What the answers show is the business rooms'."""
