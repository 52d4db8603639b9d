"""Tables of the hub, one file per noun."""
