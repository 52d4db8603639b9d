"""The verifiable log: tree, checkpoints, proofs, tiles. Pure; shared by hub, agency and auditor."""
