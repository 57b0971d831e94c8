"""The face of the product: its command line. It shows what the packages compute and computes nothing itself."""
