"""How PHP speaks: cookie sessions, parameters, the envelope, pages. Knows HTTP and PHP, nothing of this business."""
