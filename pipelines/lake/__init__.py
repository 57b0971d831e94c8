"""Iceberg tables: the only package that uses PyIceberg."""
