"""The contract every program shares: catalogue, payload schemas, strict codec, error tree."""
