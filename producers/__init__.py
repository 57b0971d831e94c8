"""The simulated shop: seeded, pure event generators, and the code that sends their events to a log."""
