"""The wire: one module per area of the contract, which reads the call, asks core and shapes the answer. How PHP speaks
in general: compat."""
