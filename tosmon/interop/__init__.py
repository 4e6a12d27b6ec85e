"""Histories and formats of others: reading what Open Terms Archive keeps in git."""
