"""Commands on the lakehouse as a whole: status, verify, reconcile, trace, resume, migrate, doctor."""
