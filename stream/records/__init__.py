"""What is on the wire: one file a record, their schemas, their compatibility."""
