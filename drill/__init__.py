"""The kill drill (``make drill``): clients work while servers, database and portal are killed, and everything is
counted afterwards. What the answers promised, what is stored, what was paid and what the portal has must agree.
"""
