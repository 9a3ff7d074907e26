"""The model graph: ops and tensors with named dims."""
