"""The modality gap of a run: accuracies, similarity against it, questions, reasons, controls."""
