"""The live page (optional extra)."""
