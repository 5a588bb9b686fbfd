"""What is asked: data sets, read question by question."""
